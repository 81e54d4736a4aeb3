"""What tasks have in common whose model scores a fixed list of choices: labels of a text, answers to a question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from contract.inputs import Row
from service.runtime.requests import PredictRequest


@dataclass(frozen=True)
class RankingOptions:
    """How to choose: the `top_k` most probable are returned. `truncate` cuts what is beyond the model's limit."""

    top_k: int = 5
    explain: bool = False
    truncate: bool = False


@dataclass(frozen=True, kw_only=True)
class RankingWork:
    """What the model reads, one row of it, and how to choose."""

    inputs: Row
    options: RankingOptions

    @property
    def rows(self) -> int:
        """A single one."""
        return 1

    @property
    def explains(self) -> bool:
        """Whether attention is wanted."""
        return self.options.explain

    def requests(self, deadline: float | None, group: int) -> list[PredictRequest]:
        """The row."""
        return [PredictRequest(self.inputs, deadline, group)]


def most_probable(scores: Sequence[float], top_k: int) -> list[tuple[int, float]]:
    """Places and probabilities of the `top_k` highest log-probabilities, the highest first."""
    best = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:top_k]
    # Rounding may leave a log-probability above 0.
    return [(place, min(1.0, math.exp(scores[place]))) for place in best]
