"""What the configs of Transformers that write text have in common."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from models.layers.transformer import LayerShape, check_heads
from models.registry import ArchitectureConfig


class TransformerSizes(ArchitectureConfig):
    """Sizes of layers, and what is dropped in training; `max_length` bounds positions."""

    hidden_size: int = Field(default=256, ge=2)
    num_heads: int = Field(default=4, ge=1)
    feed_forward_size: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    activation_dropout: float = Field(default=0.0, ge=0, lt=1)
    max_length: int = Field(default=256, ge=1)

    @property
    def layer(self) -> LayerShape:
        """What each layer is made by."""
        return LayerShape(
            self.hidden_size, self.num_heads, self.feed_forward_size, self.dropout, self.activation_dropout
        )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        check_heads(self.hidden_size, self.num_heads)
        return self
