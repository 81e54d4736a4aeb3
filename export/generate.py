"""Export of models that write, whatever they read: decoding, and how it is tried and held against PyTorch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from contract.inputs import START
from contract.manifest import DecodingDefaults, Precision, SpecialIds
from contract.rows import Row
from contract.signature import GraphKind
from contract.text import SPECIAL_TOKENS, TextCodec
from export.calibrate import Calibration, Ranges, calibrate_steps
from export.cases import Case, generate_cases
from export.material import Ask, Material
from export.optimise import Graphs, correct
from export.verify.generate import decoding, verify_engine, verify_rows, verify_steps
from export.verify.graphs import Runners, open_graph
from models.architecture import Generator

_CASE_TARGET, _ROLLOUT_TARGET = 5, 7
"""Length of the targets of cases, and of those that are fed step by step."""
_ROLLOUT = (9, 1, 4, 12, 2)
"""Sizes of the rows that are fed step by step."""
_ENGINE_CHECKED = 64
"""How many outputs PyTorch repeats."""


@dataclass(frozen=True, kw_only=True)
class GenerateMaterial(Material):
    """A model that writes tokens.

    Attributes:
        length_penalty: of a beam where a request does not say; None for what models of the task mostly want.
    """

    model: Generator
    length_penalty: float | None = None

    answered = "greedy, through the decoding engine"
    usual_penalty: ClassVar[float] = 1.0
    """The length penalty that models of the task mostly want."""
    calibration: ClassVar[Calibration] = Calibration()
    """On what int8's ranges are chosen."""

    @property
    @abstractmethod
    def special(self) -> SpecialIds: ...

    @property
    def decoding(self) -> DecodingDefaults:
        chosen = self.length_penalty
        return DecodingDefaults(length_penalty=self.usual_penalty if chosen is None else chosen)

    def cases(self, lengths: Sequence[int], seed: int) -> dict[GraphKind, Case]:
        rows = self.random_rows(lengths, seed)
        return generate_cases(
            self.model, rows, self.random_targets(len(rows), _CASE_TARGET, seed), self.vocabulary_size
        )

    def calibrate(self, graphs: Graphs) -> tuple[Graphs, Ranges]:
        seen = calibrate_steps(
            self.model.signature,
            graphs,
            self.examples_of_use[:: max(1, len(self.rows) // self.calibration.rows)],
            open_graph,
            eos=self.special.eos,
            max_steps=min(self.limits.of("target"), self.calibration.steps),
            every=self.calibration.every,
        )
        corrected = {kind: correct(graphs[kind], watched.means()) for kind, watched in seen.items()}
        return graphs | corrected, {kind: watched.ranges() for kind, watched in seen.items()}

    def verify_single(self, runners: Runners, tolerance: float) -> None:
        verify_steps(self, runners, *self._rollout, tolerance)
        longest = self.random_rows([max(size for _, size in self.limits if size is not None)], seed=4)
        behind = int(longest[0].get(START, 0))
        furthest = self.random_targets(1, self.limits.of("target") - behind, seed=4)
        verify_steps(self, runners, longest, furthest, tolerance)

    def verify_rows(self, precision: Precision, runners: Runners, tolerance: float) -> None:
        verify_rows(self, precision, runners, *self._rollout, tolerance)

    def engine(self, folder: Path, precision: Precision) -> AbstractContextManager[Ask]:
        return decoding(self, folder, precision)

    def verify_engine(self, answers: Sequence[Any], tolerance: float) -> None:
        verify_engine(self, self.rows[:_ENGINE_CHECKED], answers[:_ENGINE_CHECKED], tolerance)

    @property
    def examples_of_use(self) -> Sequence[tuple[Row, Sequence[int]]]:
        """Rows, and the tokens that steps read of each before they read what was chosen."""
        return [(row, [self.first_token(row)]) for row in self.rows]

    def first_token(self, row: Row) -> int:
        """What the first step of a row reads."""
        return self.special.bos

    @abstractmethod
    def max_length(self, row: Row) -> int:
        """The most tokens that are written about a row."""

    @abstractmethod
    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Random inputs, one for each length, none beyond the limits."""

    def random_targets(self, rows: int, length: int, seed: int) -> list[list[int]]:
        """Targets of `length` ids, or of the limit, that start with BOS."""
        draw = np.random.default_rng(seed)
        size = min(length, self.limits.of("target"))
        ids = draw.integers(len(SPECIAL_TOKENS), self.vocabulary_size, (rows, size))
        ids[:, 0] = self.special.bos
        return [[int(i) for i in row] for row in ids]

    @cached_property
    def _rollout(self) -> tuple[list[Row], list[list[int]]]:
        """Rows of mixed lengths, and targets for them, to be fed step by step."""
        return self.random_rows(_ROLLOUT, seed=5), self.random_targets(len(_ROLLOUT), _ROLLOUT_TARGET, seed=5)


@dataclass(frozen=True, kw_only=True)
class WritingMaterial(GenerateMaterial):
    """A model that writes text about something else.

    Attributes:
        target: the tokenizer of what it writes.
    """

    target: TextCodec

    @property
    def vocabulary_size(self) -> int:
        return self.target.vocabulary_size

    @property
    def special(self) -> SpecialIds:
        codec = self.target
        return SpecialIds(pad=codec.pad, unk=codec.unk, bos=codec.bos, eos=codec.eos)

    def texts(self, answers: Sequence[Any]) -> list[str]:
        """What the engine's answers say."""
        return [self.target.decode(hypothesis.token_ids) for hypothesis in answers]
