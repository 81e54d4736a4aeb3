"""Export of text-to-text generators: two tokenizers, decoding, BLEU."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from contract.inputs import text_row
from contract.manifest import DecodingDefaults, Limits, Precision, SpecialIds
from contract.preprocessing import TextPreprocessing
from contract.rows import Row
from contract.signature import GraphKind
from contract.tasks import TaskName
from contract.text import SPECIAL_TOKENS, TextCodec
from export.calibrate import Ranges, calibrate_steps
from export.cases import Case, generate_cases
from export.errors import ExportError
from export.material import About, Ask, Material
from export.optimise import Graphs
from export.verify.generate import bleu, decoding, verify_engine, verify_rows, verify_steps
from export.verify.graphs import Runners, open_graph
from models.architecture import Generator
from models.data.parallel import Files, LineAligned, Pair
from models.tasks.translate.codecs import Codecs
from models.tasks.translate.config import TranslateConfig
from models.tasks.translate.data import read_split
from models.training.run import Run

TOKENIZER, SOURCE_TOKENIZER, TARGET_TOKENIZER = "tokenizer.json", "tokenizer.source.json", "tokenizer.target.json"

_CASE_TARGET, _ROLLOUT_TARGET = 5, 7
"""Length of the targets of cases, and of those that are fed step by step."""
_ROLLOUT = (9, 1, 4, 12, 2)
"""Source lengths of the rows that are fed step by step."""
_CALIBRATED, _CALIBRATED_STEPS, _ENGINE_CHECKED = 128, 64, 64
"""How many validation inputs choose int8's ranges and for how many steps, and how many outputs PyTorch repeats."""


@dataclass(frozen=True, kw_only=True)
class TextMaterial(Material):
    """A text-to-text model.

    Attributes:
        source: the tokenizer of the source.
        target: the tokenizer of the target.
        examples: pairs of the validation split.
        languages: of source and target, where known.
    """

    model: Generator
    source: TextCodec
    target: TextCodec
    examples: Sequence[Pair]
    languages: tuple[str | None, str | None] = (None, None)

    answered = "greedy, through the decoding engine"
    units = "sentences"

    @property
    def task(self) -> TaskName:
        return "translate"

    @property
    def vocabulary_size(self) -> int:
        return self.target.vocabulary_size

    @property
    def special(self) -> SpecialIds:
        codec = self.target
        return SpecialIds(pad=codec.pad, unk=codec.unk, bos=codec.bos, eos=codec.eos)

    @property
    def decoding(self) -> DecodingDefaults:
        return DecodingDefaults()

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

    def cases(self, lengths: Sequence[int], seed: int) -> dict[GraphKind, Case]:
        rows = self.random_rows(lengths, seed)
        return generate_cases(
            self.model, rows, self.random_targets(len(rows), _CASE_TARGET, seed), self.vocabulary_size
        )

    def calibrate(self, graphs: Graphs) -> tuple[Graphs, Ranges]:
        return graphs, calibrate_steps(
            self.model.signature,
            graphs,
            self.rows[:: max(1, len(self.rows) // _CALIBRATED)],
            open_graph,
            bos=self.target.bos,
            eos=self.target.eos,
            max_steps=min(self.limits.of("target"), _CALIBRATED_STEPS),
        )

    def verify_single(self, runners: Runners, tolerance: float) -> None:
        verify_steps(self, runners, *self._rollout, tolerance)
        longest = self.random_rows([self.limits.of("source")], seed=4)
        furthest = self.random_targets(1, self.limits.of("target"), seed=4)
        verify_steps(self, runners, longest, furthest, tolerance)

    def verify_rows(self, precision: Precision, runners: Runners, tolerance: float) -> None:
        verify_rows(self, precision, runners, *self._rollout, tolerance)

    @cached_property
    def rows(self) -> Sequence[Row]:
        return [row for row, _ in self._judged]

    def engine(self, folder: Path, precision: Precision) -> AbstractContextManager[Ask]:
        return decoding(folder, precision)

    def verify_engine(self, answers: Sequence[Any], tolerance: float) -> None:
        verify_engine(self, self.rows[:_ENGINE_CHECKED], answers[:_ENGINE_CHECKED], tolerance)

    def metrics(self, answers: Sequence[Any]) -> Mapping[str, float]:
        texts = [self.target.decode(hypothesis.token_ids) for hypothesis in answers]
        return {"bleu_lower_cased": bleu(texts, [reference for _, reference in self._judged])}

    def metric_title(self, metric: str) -> str:
        return {"bleu_lower_cased": "BLEU, lower-cased"}[metric]

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Sources of given lengths, or of the limit, with random ids."""
        draw = np.random.default_rng(seed)
        lowest, highest = len(SPECIAL_TOKENS), self.source.vocabulary_size
        sizes = [min(length, self.limits.of("source")) for length in lengths]
        return [text_row(draw.integers(lowest, highest, size).tolist()) for size in sizes]

    def random_targets(self, rows: int, length: int, seed: int) -> list[list[int]]:
        """Targets of `length` ids, or of the limit, that start with BOS."""
        draw = np.random.default_rng(seed)
        size = min(length, self.limits.of("target"))
        ids = draw.integers(len(SPECIAL_TOKENS), self.target.vocabulary_size, (rows, size))
        ids[:, 0] = self.target.bos
        return [[int(i) for i in row] for row in ids]

    @cached_property
    def _judged(self) -> list[tuple[Row, str]]:
        """Validation sources within the limit, with their references."""
        encoded = [(self.source.source(source).ids, reference) for source, reference in self.examples]
        return [(text_row(ids), reference) for ids, reference in encoded if len(ids) <= self.limits.of("source")]

    @cached_property
    def _rollout(self) -> tuple[list[Row], list[list[int]]]:
        """Rows of mixed lengths, and targets for them, to be fed step by step."""
        return self.random_rows(_ROLLOUT, seed=5), self.random_targets(len(_ROLLOUT), _ROLLOUT_TARGET, seed=5)


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
        languages=_languages(config.data.train),
    )


def _languages(files: Files) -> tuple[str | None, str | None]:
    """The languages that line-aligned files are named after: `train.en.gz` is English."""
    if not isinstance(files, LineAligned):
        return None, None
    endings = [
        PurePosixPath(name.removesuffix(".gz")).suffix.removeprefix(".") for name in (files.source, files.target)
    ]
    source, target = (ending if re.fullmatch("[a-z]{2,3}", ending) and ending != "txt" else None for ending in endings)
    return source, target
