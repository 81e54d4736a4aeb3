"""What was answered before: the same question has the same answer, whoever shares the batch."""

from __future__ import annotations

from collections.abc import Hashable

TOLERANCE = 1e-3
"""By how much a score may differ on a CPU; numbers in half precision differ by more."""


class Memory:
    """The first answer to each question, a text and its score."""

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        self._tolerance = tolerance
        self._known: dict[Hashable, tuple[str, float]] = {}

    def differs(self, question: Hashable, text: str, score: float) -> str | None:
        """What is wrong with an answer where another was given before; of two equally good ones, either will do."""
        known_text, known_score = self._known.setdefault(question, (text, score))
        if abs(score - known_score) <= self._tolerance:
            return None
        return f"{text!r} ({score:.4f}) where it was {known_text!r} ({known_score:.4f}) before"
