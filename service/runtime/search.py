"""Greedy and beam search as pure functions over a step's candidates.

Scores and the end of a beam search follow CTranslate2 (`src/decoding.cc`), so that the two can be compared: from the
2n best continuations of a beam of n, those of the first n that end are hypotheses, and the search is over when n have
ended, or, without length penalty, when the best beam has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.runtime.requests import Sampling

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def candidates_needed(beam_size: int, sampling: Sampling | None) -> int:
    """How many candidates a row must be given: 1 for greedy, 2n for a beam of n, the top-k for sampling."""
    if sampling is not None:
        return sampling.top_k
    return 1 if beam_size == 1 else 2 * beam_size


@dataclass(frozen=True)
class BeamChoice:
    """The best continuations of G requests with a beam of n, best first.

    `tokens`, `parents` and `totals` are `[G, 2n]`; `parents` is the beam that a continuation extends. `ended [G, n]`
    marks those of the first n that end.
    """

    tokens: Ints
    parents: Ints
    totals: Floats
    ended: Bools
    eos: int | None

    def survivors(self) -> tuple[Ints, Ints, Floats]:
        """Tokens, parents and totals `[G, n]` of the first n that do not end."""
        groups, width = self.ended.shape
        if not self.ended.any():
            return self.tokens[:, :width], self.parents[:, :width], self.totals[:, :width]
        columns = np.argsort(self.tokens == self.eos, axis=1, kind="stable")[:, :width]
        lines = np.arange(groups)[:, None]
        return self.tokens[lines, columns], self.parents[lines, columns], self.totals[lines, columns]


def choose_beams(totals: Floats, candidates: Ints, scores: NDArray[Any], width: int, eos: int | None) -> BeamChoice:
    """Pick the best continuations.

    Args:
        totals: `[G, live]` sum of log-probabilities of each beam so far; `live` is 1 at the first step, then `width`.
        candidates: `[G, live, k]` token ids of each beam, best first, `k ≥ 2 × width` or the whole vocabulary.
        scores: `[G, live, k]` their log-probabilities.
        width: the beam size n.
        eos: id that ends a sequence.
    """
    groups, live, k = candidates.shape
    if k > 2 * width:
        k = 2 * width
        candidates, scores = candidates[:, :, :k], scores[:, :, :k]
    flat = (totals[:, :, None] + scores).reshape(groups, live * k)
    # Stable, so that equal scores are decided by beam and rank alone.
    order = np.argsort(-flat, axis=1, kind="stable")[:, : 2 * width]
    lines = np.arange(groups)[:, None]
    tokens = candidates.reshape(groups, live * k)[lines, order]
    leading = tokens[:, :width]
    ended = np.zeros(leading.shape, dtype=bool) if eos is None else leading == eos
    return BeamChoice(tokens, order // k, flat[lines, order], ended, eos)


def place_survivors(parents: Ints, rows: Ints) -> tuple[Ints, Ints, Ints]:
    """Give each survivor a row so that as few rows as possible move.

    The first child of a beam stays in its parent's row; further children take rows of beams without children.

    Args:
        parents: `[G, n]` the beam (column of `rows`) that each survivor extends.
        rows: `[G, n]` the row of each beam.

    Returns:
        `placed [G, n]`, the row of each survivor, and the copies to make as (destination rows, source rows); no row is
        both.
    """
    groups, width = parents.shape
    placed = rows[np.arange(groups)[:, None], parents]
    siblings = parents[:, :, None] == parents[:, None, :]
    further = (siblings & np.tri(width, k=-1, dtype=bool)).any(axis=2)
    if not further.any():
        return placed, rows[:0, 0], rows[:0, 0]
    childless = ~(parents[:, :, None] == np.arange(width)).any(axis=1)
    destination, source = rows[childless], placed[further]
    placed[further] = destination
    return placed, destination, source


def normalised_score(log_probability: float, length: int, penalty: float) -> float:
    """Sum of log-probabilities over length^penalty; the length counts the end token."""
    return float(log_probability / max(length, 1) ** penalty)


def common_prefix(sequences: list[Ints]) -> int:
    """How many leading ids all sequences share."""
    shortest = min(len(sequence) for sequence in sequences)
    first = sequences[0][:shortest]
    agree = np.ones(shortest, dtype=bool)
    for sequence in sequences[1:]:
        agree &= sequence[:shortest] == first
    return shortest if agree.all() else int(np.argmin(agree))
