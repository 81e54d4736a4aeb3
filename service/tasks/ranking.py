"""The best of a model's scores."""

from __future__ import annotations

import math
from collections.abc import Sequence


def most_probable(scores: Sequence[float], top_k: int) -> list[tuple[int, float]]:
    """Places and probabilities of the `top_k` highest log-probabilities, the highest first."""
    best = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:top_k]
    # Rounding may leave a log-probability above 0.
    return [(place, min(1.0, math.exp(scores[place]))) for place in best]
