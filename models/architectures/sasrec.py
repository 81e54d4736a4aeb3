"""SASRec: causal self-attention over the items of a session."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.layers.transformer import EncoderLayer, LayerShape
from models.recommender import Recommender, RecommenderConfig, last_position
from models.registry import register


class SasRecConfig(RecommenderConfig):
    """Sizes of SASRec; `max_length` bounds the items of a session."""

    num_layers: int = Field(default=2, ge=1)
    num_heads: int = Field(default=2, ge=1)
    feed_forward_size: int = Field(default=256, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    max_length: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} must be divisible by num_heads {self.num_heads}")
        return self


@register("sasrec", SasRecConfig, paper="Kang and McAuley 2018")
class SasRec(Recommender):
    """Kang and McAuley 2018, "Self-Attentive Sequential Recommendation".

    Learnt positions, causal self-attention, a feed-forward network on each position, and the item table shared between
    input and output (section 3). The norm stands first everywhere, as in the authors' code for queries.
    """

    config: SasRecConfig
    attention = Attention(axes=("items",))

    def __init__(self, config: SasRecConfig) -> None:
        super().__init__(config)
        self.positions = nn.Parameter(torch.zeros(config.max_length, config.hidden_size))
        shape = LayerShape(
            config.hidden_size, config.num_heads, config.feed_forward_size, config.dropout, config.dropout
        )
        self.layers = nn.ModuleList(EncoderLayer(shape) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_size)

    def read(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        x = self._place(vectors)
        for layer in self.layers:
            x = layer(x, None)
        normalised: Tensor = self.norm(x)
        return normalised

    def read_last(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        return last_position(self.read(vectors, item_counts), item_counts)

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        """What the last position looks at, the mean over heads and layers."""
        counts = inputs["item_counts"]
        x = self._place(self.embed(inputs["item_ids"], self.table()))
        looks = []
        for layer in self.layers:
            # To the last position, "those before me" and "all of the session" are the same.
            weights = layer.self_attention.weights(layer.self_attention_norm(x), counts)
            looks.append(last_position(weights, counts))
            x = layer(x, None)
        return {"attention": torch.stack(looks).mean(dim=0)}

    def _place(self, vectors: Tensor) -> Tensor:
        """Item vectors with what the model learnt of their positions."""
        return vectors + self.positions[: vectors.shape[1]]
