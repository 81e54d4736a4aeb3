"""STAMP: what a session is about on the whole, and what its last item says, without a recurrent network."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.layers.session_attention import SessionAttention, causal_mask
from models.recommender import Recommender, RecommenderConfig, last_position
from models.registry import register


class StampConfig(RecommenderConfig):
    """Sizes of STAMP: `hidden_size` throughout."""

    dropout: float = Field(default=0.2, ge=0, lt=1)


@register("stamp", StampConfig, paper="Liu et al. 2018")
class Stamp(Recommender):
    """Liu et al. 2018, "STAMP: Short-Term Attention/Memory Priority Model for Session-based Recommendation".

    An item x_i weighs `w₀ · σ(W₁ x_i + W₂ x_t + W₃ m_s + b)`, where x_t is the last item and m_s the mean of all
    (equation 7). The weighted sum m_a is the long-term interest (equation 8), x_t the short-term one; each goes through
    its own tanh layer, and their element-wise product meets the items (section 3.4).
    """

    config: StampConfig
    attention = Attention(axes=("items",), normalised=False)

    def __init__(self, config: StampConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.key = nn.Linear(size, size, bias=False)
        self.from_last = nn.Linear(size, size)
        self.from_mean = nn.Linear(size, size, bias=False)
        self.session_attention = SessionAttention(size)
        self.dropout = Dropout(config.dropout)
        self.long_term = nn.Linear(size, size)
        self.short_term = nn.Linear(size, size)

    def read(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        seen = torch.arange(1, vectors.shape[1] + 1, device=vectors.device)[:, None]
        query = self._query(vectors, vectors.cumsum(dim=1) / seen)
        weights = self.session_attention(query, self.key(vectors), causal_mask(vectors.shape[1], vectors.device))
        return self._combine(weights @ vectors, vectors)

    def read_last(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        last, weights = self._attend(vectors, item_counts)
        return self._combine(weights @ vectors, last).squeeze(1)

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        vectors = self.embed(inputs["item_ids"], self.table())
        return {"attention": self._attend(vectors, inputs["item_counts"])[1].squeeze(1)}

    def _attend(self, vectors: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The last item `[rows, 1, hidden]` and the weights of all `[rows, 1, items]`."""
        mask = length_mask(counts, vectors.shape[1]).unsqueeze(1)
        mean = mask.to(vectors.dtype) @ vectors / counts.clamp_min(1)[:, None, None]
        last = last_position(vectors, counts).unsqueeze(1)
        return last, self.session_attention(self._query(last, mean), self.key(vectors), mask)

    def _query(self, last: Tensor, mean: Tensor) -> Tensor:
        query: Tensor = self.from_last(last) + self.from_mean(mean)
        return query

    def _combine(self, long_term: Tensor, last: Tensor) -> Tensor:
        long, short = self.long_term(self.dropout(long_term)), self.short_term(self.dropout(last))
        return torch.tanh(long) * torch.tanh(short)
