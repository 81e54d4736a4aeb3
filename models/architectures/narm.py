"""NARM: a recurrent network that keeps the whole session in view, and attention to what it is for."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.layers.recurrent import Recurrent
from models.layers.session_attention import SessionAttention, causal_mask
from models.recommender import Recommender, RecommenderConfig, last_position
from models.registry import register


class NarmConfig(RecommenderConfig):
    """Sizes of NARM; `state_size` is that of its recurrent network."""

    state_size: int = Field(default=128, ge=1)
    num_layers: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)


@register("narm", NarmConfig, paper="Li et al. 2017")
class Narm(Recommender):
    """Li et al. 2017, "Neural Attentive Session-based Recommendation".

    The global encoder is the last state h of a GRU; the local encoder is the sum of all states h_j so far, weighted by
    `v · σ(A₁ h + A₂ h_j)` (section 3.4). A bilinear decoder compares both with the items (section 3.5): its matrix B
    maps the session into the items' space.
    """

    config: NarmConfig
    attention = Attention(axes=("items",), normalised=False)

    def __init__(self, config: NarmConfig) -> None:
        super().__init__(config)
        size = config.state_size
        self.network = Recurrent("gru", config.hidden_size, size, config.num_layers, dropout=config.dropout)
        self.query = nn.Linear(size, size, bias=False)
        self.key = nn.Linear(size, size, bias=False)
        self.session_attention = SessionAttention(size)
        self.dropout = Dropout(config.dropout)
        self.decoder = nn.Linear(2 * size, config.hidden_size, bias=False)

    def read(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        states, _ = self.network(vectors, item_counts)
        weights = self.session_attention(
            self.query(states), self.key(states), causal_mask(states.shape[1], states.device)
        )
        return self._decode(states, weights @ states)

    def read_last(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        states, _ = self.network(vectors, item_counts)
        last, weights = self._attend(states, item_counts)
        return self._decode(last, weights @ states).squeeze(1)

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        counts = inputs["item_counts"]
        states, _ = self.network(self.embed(inputs["item_ids"], self.table()), counts)
        return {"attention": self._attend(states, counts)[1].squeeze(1)}

    def _attend(self, states: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The last state `[rows, 1, state]` and its weights `[rows, 1, items]`."""
        last = last_position(states, counts).unsqueeze(1)
        mask = length_mask(counts, states.shape[1]).unsqueeze(1)
        return last, self.session_attention(self.query(last), self.key(states), mask)

    def _decode(self, overall: Tensor, local: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(self.dropout(torch.cat([overall, local], dim=-1)))
        return decoded
