"""The YAML of a run that learns to draw pictures from smaller ones."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from models.tasks.complete_image.config import PixelConfig, PixelData


class UpscaleData(PixelData):
    """Pictures that are reduced to `source_size` pixels a side, to be drawn anew at `size`."""

    source_size: int = Field(default=8, ge=2)

    @property
    def sides(self) -> tuple[int, ...]:
        return self.size, self.source_size

    @model_validator(mode="after")
    def _whole_pixels(self) -> Self:
        if self.size % self.source_size:
            raise ValueError(f"size {self.size} must be a multiple of source_size {self.source_size}")
        return self


class UpscaleConfig(PixelConfig):
    """One run that learns to upscale."""

    task: Literal["upscale"] = "upscale"
    data: UpscaleData
