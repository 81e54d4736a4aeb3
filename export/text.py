"""Export of text-to-text generators: two tokenizers, BLEU."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from contract.inputs import text_row
from contract.manifest import Limits
from contract.preprocessing import TextPreprocessing
from contract.rows import Row
from contract.tasks import TaskName
from contract.text import SPECIAL_TOKENS, TextCodec
from export.errors import ExportError
from export.generate import WritingMaterial
from export.material import About, OpenGraphs
from models.architecture import Generator
from models.data.parallel import Files, LineAligned, Pair
from models.tasks.translate.codecs import Codecs
from models.tasks.translate.config import ParallelData, TranslateConfig
from models.tasks.translate.data import read_split
from models.training.run import Run

TOKENIZER, SOURCE_TOKENIZER, TARGET_TOKENIZER = "tokenizer.json", "tokenizer.source.json", "tokenizer.target.json"


@dataclass(frozen=True, kw_only=True)
class TextMaterial(WritingMaterial):
    """A text-to-text model.

    Attributes:
        source: the tokenizer of the source.
        examples: pairs of the validation split.
        languages: of source and target, where known.
    """

    source: TextCodec
    examples: Sequence[Pair]
    languages: tuple[str | None, str | None] = (None, None)

    units = "sentences"

    @property
    def task(self) -> TaskName:
        return "translate"

    def preprocessing(self, folder: Path) -> TextPreprocessing:
        """Write the tokenizers, a joint one once."""
        joint = self.source.tokenizer.to_str() == self.target.tokenizer.to_str()
        names = (TOKENIZER, TOKENIZER) if joint else (SOURCE_TOKENIZER, TARGET_TOKENIZER)
        self.source.save(folder / names[0])
        self.target.save(folder / names[1])
        return TextPreprocessing(
            source_tokenizer=names[0],
            target_tokenizer=names[1],
            source_language=self.languages[0],
            target_language=self.languages[1],
        )

    @cached_property
    def rows(self) -> Sequence[Row]:
        return [row for row, _ in self._judged]

    def metrics(self, answers: Sequence[Any], open_graphs: OpenGraphs) -> Mapping[str, float]:
        references = [reference for _, reference in self._judged]
        return {"bleu_lower_cased": BLEU(lowercase=True).corpus_score(self.texts(answers), [references]).score}

    def metric_title(self, metric: str) -> str:
        return {"bleu_lower_cased": "BLEU, lower-cased"}[metric]

    def max_length(self, row: Row) -> int:
        return self.decoding.max_length(len(row["source_ids"]), self.limits)

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Sources of given lengths, or of the limit, with random ids."""
        draw = np.random.default_rng(seed)
        lowest, highest = len(SPECIAL_TOKENS), self.source.vocabulary_size
        sizes = [min(length, self.limits.of("source")) for length in lengths]
        return [text_row(draw.integers(lowest, highest, size).tolist()) for size in sizes]

    @cached_property
    def _judged(self) -> list[tuple[Row, str]]:
        """Validation sources within the limit, with their references."""
        encoded = [(self.source.source(source).ids, reference) for source, reference in self.examples]
        return [(text_row(ids), reference) for ids, reference in encoded if len(ids) <= self.limits.of("source")]


def text_material(run: Run[TranslateConfig, Codecs]) -> TextMaterial:
    """Material of a finished translation run; its validation split must be readable.

    Raises:
        ExportError: the architecture does not generate.
    """
    config, model = run.config, run.model
    if not isinstance(model, Generator):
        raise ExportError(f"{run.path}: architecture {config.architecture_name!r} is no generator")
    longest = config.data.max_length
    # Architectures that read a source by position say how many they know.
    longest_source = min(longest, getattr(model.config, "max_source_length", longest))
    return TextMaterial(
        model=model,
        limits=Limits(source=longest_source, target=longest),
        about=About.of(config),
        source=run.vocabulary.source,
        target=run.vocabulary.target,
        examples=read_split(config.data, run.root, "validation"),
        languages=_languages(config.data),
    )


def _languages(data: ParallelData) -> tuple[str | None, str | None]:
    """The languages that the config names, else those after which the files of the first corpus are named."""
    source, target = _named_after(data.train[0])
    return data.source_language or source, data.target_language or target


def _named_after(files: Files) -> tuple[str | None, str | None]:
    """The languages that line-aligned files are named after: `train.en.gz` is English."""
    if not isinstance(files, LineAligned):
        return None, None
    endings = [
        PurePosixPath(name.removesuffix(".gz")).suffix.removeprefix(".") for name in (files.source, files.target)
    ]
    source, target = (ending if re.fullmatch("[a-z]{2,3}", ending) and ending != "txt" else None for ending in endings)
    return source, target
