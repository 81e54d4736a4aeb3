"""Drawing as a training task, from what is given of a picture or from a small one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from models.architecture import Architecture
from models.data.pictures import PictureFile
from models.pixel_generator import PixelGenerator
from models.registry import ConfigError
from models.tasks.complete_image.config import CompleteImageConfig, PixelConfig
from models.tasks.complete_image.data import Pictures, PixelBatches, plan_in_order, read_split
from models.tasks.complete_image.module import PixelModule, bits_per_dimension, likelihood, mean_loss
from models.training.config import Split
from models.training.run import Run
from models.training.task import TrainingTask

P = TypeVar("P", bound=PixelConfig)

_ROWS = 16
"""Pictures that are judged at once."""


@dataclass(frozen=True)
class Intensities:
    """The vocabulary of pictures, of which nothing is to be learnt or kept: a token is an intensity."""

    def save(self, folder: Path) -> None:
        """Nothing to write."""


class PixelTask(TrainingTask[P, Intensities]):
    """What tasks share whose models draw pictures."""

    scores = ("likelihood",)
    files = ()

    def learn(self, config: P, root: Path) -> Intensities:
        return Intensities()

    def load(self, folder: Path) -> Intensities:
        return Intensities()

    def sizes(self, config: P, vocabulary: Intensities) -> dict[str, Any]:
        return dict(zip(("image_size", "source_size"), config.data.sides, strict=False))

    def data(self, config: P, vocabulary: Intensities, root: Path) -> PixelBatches:
        train, validation = (read_split(config.data, root, split) for split in ("train", "validation"))
        return PixelBatches(train, validation, config)

    def module(self, model: Architecture, config: P, vocabulary: Intensities, total_steps: int) -> PixelModule:
        if not isinstance(model, PixelGenerator):
            raise ConfigError(f"architecture {config.architecture_name!r} does not draw pictures")
        return PixelModule(model, config.training, seed=config.seed, total_steps=total_steps)

    def examples(self, run: Run[P, Intensities], split: Split) -> list[PictureFile]:
        """The pictures of a split."""
        return read_split(run.config.data, run.root, split)

    @torch.no_grad()
    def evaluate(self, run: Run[P, Intensities], split: Split) -> dict[str, str | int | float]:
        """Bits per dimension of all pictures of a split, and the geometric mean of an intensity's probability."""
        assert isinstance(run.model, PixelGenerator)
        pictures = Pictures(self.examples(run, split), run.config.data)
        total = 0.0
        for indices in plan_in_order(len(pictures), _ROWS):
            batch = pictures.batch(indices, [False] * len(indices))
            total += float(mean_loss(run.model, batch)) * len(indices)
        loss = total / len(pictures)
        return {
            "run": run.config.name,
            "split": split,
            "pictures": len(pictures),
            "likelihood": round(likelihood(loss), 2),
            "bits_per_dimension": round(bits_per_dimension(loss), 4),
        }


class CompleteImageTask(PixelTask[CompleteImageConfig]):
    """Goes on with pictures of which the upper rows are given, or none."""

    config = CompleteImageConfig
