"""Export of captioners: a picture in, BLEU against several references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from contract.inputs import image_row
from contract.manifest import Limits
from contract.preprocessing import Fit, ImagePreprocessing
from contract.rows import Row
from contract.tasks import TaskName
from export.errors import ExportError
from export.generate import WritingMaterial
from export.material import About, OpenGraphs
from models.data.captions import Picture
from models.data.vocabulary import TOKENIZER
from models.image_generator import ImageGenerator
from models.tasks.caption import TASK
from models.tasks.caption.evaluate import CaptionRun
from models.tasks.caption.scores import bleu

_PENALTY = 0.6
"""Of a soft-attention captioner with a beam of four: on Flickr8k's validation pictures its BLEU-4 is 20.2 at a penalty
of 0, 20.4 at 0.6 and 19.9 at 1, its BLEU-1 62.5, 62.2 and 60.7."""
_TILES = 16
"""Of one colour each, a side of a random picture."""


@dataclass(frozen=True, kw_only=True)
class CaptionMaterial(WritingMaterial):
    """A captioner.

    Attributes:
        fit: how a picture becomes the square that it reads.
        examples: pictures of the validation split, with their captions.
    """

    model: ImageGenerator
    fit: Fit
    examples: Sequence[Picture]

    units = "pictures"
    usual_penalty = _PENALTY

    @property
    def task(self) -> TaskName:
        return "caption"

    def preprocessing(self, folder: Path) -> ImagePreprocessing:
        self.target.save(folder / TOKENIZER)
        return ImagePreprocessing(size=self._size, fit=self.fit, grid=self.model.grid, target_tokenizer=TOKENIZER)

    @cached_property
    def rows(self) -> Sequence[Row]:
        return [image_row(picture.pixels(self._size, self.fit)) for picture in self.examples]

    def metrics(self, answers: Sequence[Any], open_graphs: OpenGraphs) -> Mapping[str, float]:
        found = bleu(self.texts(answers), [picture.captions for picture in self.examples])
        return {name: found[name] for name in TASK.scores}

    def metric_title(self, metric: str) -> str:
        return metric.upper().replace("_", "-")

    def max_length(self, row: Row) -> int:
        return self.limits.of("target")

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Pictures of coloured tiles, one for each length: all are of one size."""
        draw = np.random.default_rng(seed)
        tile = np.arange(self._size) * _TILES // self._size
        colours = draw.integers(0, 256, (len(lengths), _TILES, _TILES, 3), dtype=np.uint8)
        return [image_row(each[tile][:, tile]) for each in colours]

    @property
    def _size(self) -> int:
        return self.model.config.encoder.image_size


def caption_material(run: CaptionRun) -> CaptionMaterial:
    """Material of a finished captioning run; its validation split must be readable.

    Raises:
        ExportError: the architecture does not read pictures.
    """
    config, model = run.config, run.model
    if not isinstance(model, ImageGenerator):
        raise ExportError(f"{run.path}: architecture {config.architecture_name!r} does not read pictures")
    return CaptionMaterial(
        model=model,
        limits=Limits(target=config.data.max_length),
        about=About.of(config),
        target=run.vocabulary.codec,
        fit=config.data.fit,
        examples=TASK.examples(run, "validation"),
    )
