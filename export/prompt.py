"""Export of generators of which counts how likely they find what was written, token by token; and of their prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from contract.inputs import prompt_row
from contract.manifest import DecodingDefaults, Sampling
from contract.rows import Row
from contract.signature import TOKEN_IDS
from contract.text import SPECIAL_TOKENS
from export.generate import GenerateMaterial
from export.material import OpenGraphs
from export.verify.prompt import mean_loss

_PROMPT, _CONTINUED = 16, 128
"""Tokens of the prompts that the engine goes on from, and the most that it adds."""


@dataclass(frozen=True, kw_only=True)
class DrawnMaterial(GenerateMaterial):
    """A model whose tokens are drawn.

    Attributes:
        sampling: how, for a request that does not say; None for as the model has it.
    """

    sampling: Sampling | None = None

    answered = "each token after those before it, through the step graph"
    bits_metric: ClassVar[str]
    """What bits are counted per, as a metric."""

    @property
    def decoding(self) -> DecodingDefaults:
        longest = self.limits.of("target")
        return DecodingDefaults(beam_size=1, max_length_offset=longest, sampling=self.sampling or Sampling())

    def metrics(self, answers: Sequence[Any], open_graphs: OpenGraphs) -> Mapping[str, float]:
        """The geometric mean of a token's probability, in points, and what that is in bits."""
        loss = mean_loss(self, open_graphs())
        return {"likelihood": 100 * math.exp(-loss), self.bits_metric: loss / math.log(2)}


@dataclass(frozen=True, kw_only=True)
class PromptMaterial(DrawnMaterial):
    """A model that goes on from a prompt.

    Attributes:
        sequences: what is judged, without BOS, closed by EOS where there is one.
    """

    sequences: Sequence[Sequence[int]]

    @cached_property
    def rows(self) -> Sequence[Row]:
        return [prompted([self.special.bos, *ids[: min(_PROMPT, len(ids) - 1)]]) for ids in self.sequences]

    @property
    def examples_of_use(self) -> Sequence[tuple[Row, Sequence[int]]]:
        """Whole sequences from their start."""
        bos = self.special.bos
        return [(prompted([bos]), [bos, *ids]) for ids in self.sequences]

    def first_token(self, row: Row) -> int:
        return int(row[TOKEN_IDS.name])

    def max_length(self, row: Row) -> int:
        return min(_CONTINUED, self.limits.of("target") - int(row["prompt_lengths"]))

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Prompts of given lengths, BOS counted, or of half the limit, with random ids."""
        draw = np.random.default_rng(seed)
        sizes = [min(length - 1, self.limits.of("target") // 2) for length in lengths]
        ids = [draw.integers(len(SPECIAL_TOKENS), self.vocabulary_size, size).tolist() for size in sizes]
        return [prompted([self.special.bos, *each]) for each in ids]


def prompted(ids: Sequence[int]) -> Row:
    """A prompt, BOS first, and apart from it its last token, which the first step reads."""
    return {**prompt_row(ids), TOKEN_IDS.name: np.array(ids[-1], np.int64)}
