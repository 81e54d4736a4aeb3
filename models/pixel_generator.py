"""The base of generators that draw pictures, pixel by pixel."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from models.architecture import Generator, Tensors
from models.layers.pixel_frame import PixelFrame
from models.layers.transformer import SelfAttention, check_heads
from models.registry import ArchitectureConfig


class PixelGeneratorConfig(ArchitectureConfig):
    """Sizes of what draws a square of `image_size` pixels a side, each of which sees the last `window` pixels."""

    image_size: int = Field(default=32, ge=2)
    window: int = Field(default=96, ge=1)
    hidden_size: int = Field(default=128, ge=4)
    num_heads: int = Field(default=4, ge=1)
    feed_forward_size: int = Field(default=512, ge=1)
    decoder_layers: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        check_heads(self.hidden_size, self.num_heads)
        return self


class PixelGenerator(Generator):
    """A generator whose tokens are intensities."""

    config: PixelGeneratorConfig
    frame: PixelFrame

    @property
    def source_size(self) -> int | None:
        """Pixels a side of the small picture that it draws from; None where it draws from nothing."""
        return None

    @abstractmethod
    def teach(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Teacher-forced logits of whole pictures: `target_ids [rows, target]`, BOS first → `[rows, target, 256]`.

        Of the inputs it needs no prompt.
        """

    def start(self) -> None:
        """Where learning starts: biases of affine maps at nothing, local attention at what is near, whatever it is."""
        config = self.config
        steepness = 2.0 ** -torch.arange(config.num_heads)  # from a pixel's neighbours to the whole window
        nearness = steepness[:, None] * -distances(config.window, config.image_size)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            elif isinstance(module, SelfAttention) and module.distance_bias is not None:
                module.distance_bias.data.copy_(nearness)


def distances(window: int, width: int) -> Tensor:
    """How far from the pixel that is drawn those of its window lie, `[window]`, in rows and columns together.

    The one just before it in raster order comes first; where rows end is left out of account.
    """
    back = torch.arange(1, window + 1)
    rows = (back + (width - 1) // 2) // width
    return rows + (back - rows * width).abs()
