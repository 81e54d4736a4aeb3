"""The YAML of a run that learns to draw pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contract.images import Fit
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class PixelData(DataConfig):
    """Folders and uncompressed tar shards of pictures, relative to the data folder.

    Without `validation` a fixed tenth of the training pictures is one, chosen by their names. `fit` says how a picture
    becomes the square of `size` pixels a side that is learnt; what serves the model does the same. With `mirror` half
    of the training pictures are seen mirrored, others every epoch. An epoch is judged on at most `judged` validation
    pictures, evenly taken.
    """

    train: tuple[str, ...] = Field(min_length=1)
    validation: tuple[str, ...] | None = None
    test: tuple[str, ...] | None = None
    size: int = Field(default=32, ge=2)
    fit: Fit = "squeeze"
    mirror: bool = True
    judged: int = Field(default=250, ge=1)

    @property
    def training_files(self) -> tuple[str, ...]:
        return self.train

    @property
    def sides(self) -> tuple[int, ...]:
        """Pixels a side of what is drawn, and of what it is drawn from where that is a picture."""
        return (self.size,)


class PixelConfig(TrainConfig):
    """One run; `batch_tokens` counts the channels of all pixels of a batch."""

    data: PixelData
    training: TrainingConfig = TrainingConfig()


class CompleteImageConfig(PixelConfig):
    """One run that learns to go on with a picture."""

    task: Literal["complete-image"] = "complete-image"
