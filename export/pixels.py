"""Export of models that draw pictures, judged by bits per dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from contract.images import Fit, Pixels
from contract.inputs import START, image_row
from contract.manifest import Limits, SpecialIds
from contract.pixels import BOS_ID, LEVELS, pixel_tokens
from contract.preprocessing import CHANNELS, PixelPreprocessing
from contract.rows import Row
from contract.tasks import TaskName
from export.calibrate import Calibration
from export.errors import ExportError
from export.material import About, Timing
from export.prompt import DrawnMaterial, PromptMaterial, prompted
from models.pixel_generator import PixelGenerator
from models.prompt_generator import PromptGenerator
from models.tasks.complete_image.config import PixelConfig
from models.tasks.complete_image.data import read_split
from models.tasks.complete_image.task import Intensities
from models.training.run import Run

_JUDGED = 64
"""Validation pictures that are drawn, and whose likelihood is measured: each takes thousands of steps."""

PixelRun = Run[PixelConfig, Intensities]


@dataclass(frozen=True, kw_only=True)
class PixelMaterial(DrawnMaterial):
    """A model that draws squares.

    Attributes:
        fit: how a picture becomes a square.
    """

    model: PixelGenerator
    fit: Fit

    answered = "each intensity after those before it, through the step graph"
    units = "pictures"
    bits_metric = "bits_per_dimension"
    timing = Timing(alone=2, repeats=1)
    calibration = Calibration(rows=4, steps=1 << 14, every=25)  # whole pictures, and all channels in turn

    @property
    def vocabulary_size(self) -> int:
        return LEVELS

    @property
    def special(self) -> SpecialIds:
        return SpecialIds(pad=0, bos=BOS_ID)

    def preprocessing(self, folder: Path) -> PixelPreprocessing:
        config = self.model.config
        return PixelPreprocessing(size=config.image_size, fit=self.fit, source_size=self.model.source_size)

    def max_length(self, row: Row) -> int:
        return self.limits.of("target") - int(row.get(START, 0))


@dataclass(frozen=True, kw_only=True)
class CompletionMaterial(PixelMaterial, PromptMaterial):
    """A model that goes on with a picture, of which the engine is given the upper half."""

    @property
    def task(self) -> TaskName:
        return "complete-image"

    @cached_property
    def rows(self) -> Sequence[Row]:
        given = self.limits.of("target") // 2
        return [prompted([BOS_ID, *ids[:given]]) for ids in self.sequences]


@dataclass(frozen=True, kw_only=True)
class UpscaleMaterial(PixelMaterial):
    """A model that draws a picture from a small one.

    Attributes:
        pictures: those of the validation split, small and as they are drawn.
    """

    pictures: Sequence[tuple[Pixels, Pixels]]

    @property
    def task(self) -> TaskName:
        return "upscale"

    @cached_property
    def rows(self) -> Sequence[Row]:
        return [image_row(small) for small, _ in self.pictures]

    @property
    def examples_of_use(self) -> Sequence[tuple[Row, Sequence[int]]]:
        """Whole pictures."""
        return [(image_row(small), [BOS_ID, *pixel_tokens(whole)]) for small, whole in self.pictures]

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Pictures of random pixels, one for each length: all are of one size."""
        shape = self.pictures[0][0].shape
        draw = np.random.default_rng(seed)
        return [image_row(draw.integers(0, LEVELS, shape, dtype=np.uint8)) for _ in lengths]


def completion_material(run: PixelRun) -> CompletionMaterial:
    """Material of a finished run that learnt to complete pictures; its validation split must be readable.

    Raises:
        ExportError: the architecture does not go on with pictures.
    """
    if not isinstance(run.model, PixelGenerator) or not isinstance(run.model, PromptGenerator):
        raise _wrong(run, "go on with pictures")
    sequences = [pixel_tokens(picture) for (picture,) in _judged(run)]
    return CompletionMaterial(model=run.model, sequences=sequences, **_shared(run))


def upscale_material(run: PixelRun) -> UpscaleMaterial:
    """Material of a finished run that learnt to upscale pictures; its validation split must be readable.

    Raises:
        ExportError: the architecture does not draw from pictures.
    """
    if not isinstance(run.model, PixelGenerator) or run.model.source_size is None:
        raise _wrong(run, "draw from pictures")
    pictures = [(small, whole) for whole, small in _judged(run)]
    return UpscaleMaterial(model=run.model, pictures=pictures, **_shared(run))


def _judged(run: PixelRun) -> list[list[Pixels]]:
    """Validation pictures, evenly taken, in every size that the run reads them in."""
    data = run.config.data
    files = read_split(data, run.root, "validation")
    chosen = files[:: max(1, len(files) // _JUDGED)][:_JUDGED]
    return [[file.pixels(side, data.fit) for side in data.sides] for file in chosen]


def _shared(run: PixelRun) -> dict[str, Any]:
    data = run.config.data
    return {"limits": Limits(target=CHANNELS * data.size**2), "about": About.of(run.config), "fit": data.fit}


def _wrong(run: PixelRun, what: str) -> ExportError:
    return ExportError(f"{run.path}: architecture {run.config.architecture_name!r} does not {what}")
