"""A request among the live rows: how it searches, and what it has found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.runtime.requests import Hypothesis, Search
from service.runtime.search import Ints, normalised_score


@dataclass
class Member:
    """A request among the live rows. Its first step reads `first_token` (None: BOS) at position `start`."""

    search: Search
    streaming: bool = False
    first_token: int | None = None
    start: int = 0
    found: list[tuple[Ints, float, bool]] = field(default_factory=list)
    """Token ids, sum of log-probabilities, and whether the end token was reached, of each finished beam."""
    best_beam_ended: bool = False
    streamed: int = 0
    started: int = 0
    steps: int = 0
    k: int = 1

    @property
    def over(self) -> bool:
        """Whether a beam search has found what it looks for."""
        if self.search.length_penalty == 0:
            return self.best_beam_ended and len(self.found) >= self.search.alternatives
        return len(self.found) >= self.search.beam_size

    def hypotheses(self) -> list[Hypothesis]:
        """Finished hypotheses, best first, as many as were asked for."""
        penalty = self.search.length_penalty
        scored = [
            Hypothesis(ids.tolist(), normalised_score(total, len(ids) + int(ended), penalty), total, ended)
            for ids, total, ended in self.found
        ]
        scored.sort(key=lambda hypothesis: -hypothesis.score)
        return scored[: self.search.alternatives]
