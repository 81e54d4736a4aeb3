"""How well a finished run describes pictures."""

from __future__ import annotations

from collections.abc import Sequence

from models.data.captions import Picture, read_pixels
from models.data.vocabulary import WritingVocabulary
from models.image_generator import ImageGenerator
from models.registry import ConfigError
from models.tasks.caption.config import CaptionConfig
from models.tasks.caption.data import read_split
from models.tasks.caption.scores import bleu
from models.training.config import Split
from models.training.decode import greedy_decode
from models.training.run import Run

ROWS = 32

CaptionRun = Run[CaptionConfig, WritingVocabulary]


def describe(run: CaptionRun, pictures: Sequence[Picture]) -> list[str]:
    """A greedy caption of each picture.

    Raises:
        ConfigError: the model does not read pictures.
        DataError: a picture cannot be read.
    """
    if not isinstance(run.model, ImageGenerator):
        raise ConfigError(f"{run.path}: architecture {run.config.architecture_name!r} cannot describe pictures")
    codec, data = run.vocabulary.codec, run.config.data
    size = run.model.encoder.config.image_size
    captions = []
    for start in range(0, len(pictures), ROWS):
        part = pictures[start : start + ROWS]
        inputs = {"pixels": read_pixels(part, [None] * len(part), size, data.fit)}
        rows = greedy_decode(run.model, inputs, bos=codec.bos, eos=codec.eos, max_length=data.max_length)
        captions += [codec.decode(ids) for ids in rows]
    return captions


def caption_scores(run: CaptionRun, split: Split) -> dict[str, str | int | float]:
    """BLEU-1 to -4 of greedy captions on one split, against all captions of each picture."""
    pictures = read_split(run.config.data, run.root, split)
    scores = bleu(describe(run, pictures), [picture.captions for picture in pictures])
    rounded = {name: round(score, 2) for name, score in scores.items()}
    return {"run": run.config.name, "split": split, "pictures": len(pictures), **rounded}
