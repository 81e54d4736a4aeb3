"""What an export draws on: a trained model, its tokenizers, and texts to calibrate and judge it with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from contract.manifest import Licence, Limits, Score
from contract.text import SPECIAL_TOKENS, TextCodec
from export.drive import Row
from export.errors import ExportError
from models.architecture import Generator
from models.data.parallel import Files, LineAligned, Pair
from models.tasks.translate.codecs import Codecs
from models.tasks.translate.config import TranslateConfig
from models.tasks.translate.data import read_split
from models.training.config import DataConfig
from models.training.run import Run


@dataclass(frozen=True)
class Material:
    """One trained model and everything said about it.

    Attributes:
        model: in evaluation mode, on the CPU.
        source: the tokenizer of the source.
        target: the tokenizer of the target.
        examples: pairs of the validation split.
        limits: longest source and target, in tokens.
        architecture: its registered name.
        description: one line for the model card.
        licence: of the training data.
        languages: of source and target, where known.
        training: the resolved training config.
        scores: known already, from training.
    """

    model: Generator
    source: TextCodec
    target: TextCodec
    examples: Sequence[Pair]
    limits: Limits
    architecture: str
    description: str
    licence: Licence
    languages: tuple[str | None, str | None] = (None, None)
    training: dict[str, Any] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Texts as encode inputs, those beyond the limit left out."""
        encoded = (self.source.source(text).ids for text in texts)
        return [as_row(ids) for ids in encoded if len(ids) <= self.limits.of("source")]

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Sources of given lengths with random ids."""
        draw = np.random.default_rng(seed)
        lowest = len(SPECIAL_TOKENS)
        return [as_row(draw.integers(lowest, self.source.vocabulary_size, length).tolist()) for length in lengths]

    def random_targets(self, rows: int, length: int, seed: int) -> list[list[int]]:
        """Targets of `length` ids that start with BOS."""
        draw = np.random.default_rng(seed)
        ids = draw.integers(len(SPECIAL_TOKENS), self.target.vocabulary_size, (rows, length))
        ids[:, 0] = self.target.bos
        return [[int(i) for i in row] for row in ids]


def as_row(source_ids: Sequence[int]) -> Row:
    """Encode inputs of one source without the rows axis."""
    return {"source_ids": np.asarray(source_ids, np.int64), "source_lengths": np.asarray(len(source_ids), np.int64)}


def from_run(run: Run[TranslateConfig, Codecs]) -> Material:
    """Material of a finished training run; its validation split must be readable.

    Raises:
        ExportError: the architecture does not generate.
    """
    config, model = run.config, run.model
    if not isinstance(model, Generator):
        raise ExportError(
            f"{run.path}: architecture {config.architecture_name!r} is no generator; nothing exports it yet"
        )
    longest = config.data.max_length
    # Architectures that read a source by position say how many they know.
    longest_source = min(longest, getattr(model.config, "max_source_length", longest))
    return Material(
        model=model,
        source=run.vocabulary.source,
        target=run.vocabulary.target,
        examples=read_split(config.data, run.root, "validation"),
        limits=Limits(source=longest_source, target=longest),
        architecture=config.architecture_name,
        description=config.description or config.name,
        licence=_licence(config.data),
        languages=_languages(config.data.train),
        training=config.model_dump(mode="json"),
    )


def _licence(data: DataConfig) -> Licence:
    """The data set goes by its folder's name, or by its file's where it has none."""
    files = data.training_files
    folder = PurePosixPath(files[0]).parent.name
    return Licence(data=folder or files[0], source=", ".join(files), terms=data.licence)


def _languages(files: Files) -> tuple[str | None, str | None]:
    """The languages that line-aligned files are named after: `train.en.gz` is English."""
    if not isinstance(files, LineAligned):
        return None, None
    endings = [
        PurePosixPath(name.removesuffix(".gz")).suffix.removeprefix(".") for name in (files.source, files.target)
    ]
    source, target = (ending if re.fullmatch("[a-z]{2,3}", ending) and ending != "txt" else None for ending in endings)
    return source, target
