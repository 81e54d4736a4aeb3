"""Greedy, beam search and sampling as pure functions over a step's candidates.

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


def candidates_needed(beam_size: int, sampling: Sampling | None) -> int:
    """How many candidates a row must be given: 1 for greedy, 2n for a beam of n, the top-k for sampling."""
    if sampling is not None:
        return sampling.top_k
    return 1 if beam_size == 1 else 2 * beam_size


@dataclass(frozen=True)
class BeamChoice:
    """The best continuations of G requests: the `2n` best of each, and which n of them live on.

    `tokens`, `parents` and `totals` are `[G, 2n]`, best first (`parents` is the beam that a continuation extends);
    `survivors [G, n]` are columns of these.
    """

    tokens: Ints
    parents: Ints
    totals: Floats
    survivors: Ints


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
    k = min(k, 2 * width)
    flat = (totals[:, :, None] + scores[:, :, :k]).reshape(groups, live * k)
    # Stable, so that equal scores are decided by beam and rank alone.
    order = np.argsort(-flat, axis=1, kind="stable")[:, : 2 * width]
    tokens = np.take_along_axis(candidates[:, :, :k].reshape(groups, live * k), order, axis=1)
    ended = np.zeros(tokens.shape, dtype=bool) if eos is None else tokens == eos
    survivors = np.argsort(ended, axis=1, kind="stable")[:, :width]
    return BeamChoice(tokens, order // k, np.take_along_axis(flat, order, axis=1), survivors)


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
    width = parents.shape[1]
    first = np.ones(parents.shape, dtype=bool)
    for column in range(1, width):
        first[:, column] = (parents[:, :column] != parents[:, column : column + 1]).all(axis=1)
    childless = np.ones(parents.shape, dtype=bool)
    np.put_along_axis(childless, parents, False, axis=1)
    origin = np.take_along_axis(rows, parents, axis=1)
    placed = origin.copy()
    placed[~first] = rows[childless]
    return placed, placed[~first], origin[~first]


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


def sample(scores: NDArray[Any], sampling: Sampling, generator: np.random.Generator) -> int:
    """Draw one of a row's candidates by their log-probabilities, best first; returns its column.

    The temperature applies within the top-k, then the tail beyond `top_p` is cut (Holtzman et al. 2020).
    """
    logits = scores[: sampling.top_k].astype(np.float64) / max(sampling.temperature, 1e-6)
    weights = np.exp(logits - logits[0])
    weights /= weights.sum()
    kept = int(np.searchsorted(np.cumsum(weights), sampling.top_p - 1e-12)) + 1
    cumulative = np.cumsum(weights[:kept])
    drawn = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
    return min(drawn, len(cumulative) - 1)
