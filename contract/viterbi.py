"""The best path of tags through a sentence, and how sure each tag is: linear-chain inference in NumPy.

Viterbi 1967; forward-backward as in Rabiner 1989, section III. One sentence at a time: loops over words run a few
NumPy calls on arrays of tags × tags each, and what does not depend on the word before is done for all words at once.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR = -80.0
"""Emissions further below the best of their word count as this far below: e^-80 is nothing, and does not underflow."""

RESCALE = 4
"""Words between two rescalings: in so few steps probabilities cannot leave the range of float64."""


def best_path(emissions: NDArray[Any], start: Array, transitions: Array, end: Array) -> list[int]:
    """The tags of highest total score.

    Args:
        emissions: `[words, tags]`, at least one word.
        start: `[tags]`, score of a first tag.
        transitions: `[tags, tags]`, score of going from one tag (rows) to the next (columns).
        end: `[tags]`, score of a last tag.
    """
    words = len(emissions)
    best = np.array(emissions, np.float64)  # [words, tags]: of the best path that ends in each tag
    best[0] += start
    from_to = np.ascontiguousarray(transitions.T)
    reached = np.empty_like(from_to)
    through = np.empty_like(start)
    for before, here in pairwise(best):
        np.add(from_to, before, out=reached)
        np.maximum.reduce(reached, axis=1, out=through)
        np.add(here, through, out=here)
    arrived = (best[:-1, None, :] + from_to).argmax(axis=2).tolist()
    tag = int((best[-1] + end).argmax())
    path = [tag]
    for back in range(words - 2, -1, -1):
        tag = arrived[back][tag]
        path.append(tag)
    path.reverse()
    return path


def marginals(emissions: NDArray[Any], start: Array, transitions: Array, end: Array) -> Array:
    """Probability of each tag at each word over all paths, `[words, tags]`; arguments as for `best_path`."""
    scores = np.asarray(emissions, np.float64)
    likelihood = np.exp(np.maximum(scores - scores.max(axis=1, keepdims=True), FLOOR))
    steps = list(np.exp(transitions - transitions.max()) * likelihood[1:, None, :])  # each [tags, tags]
    forward = np.empty_like(likelihood)
    backward = np.empty_like(likelihood)
    forward[0] = likelihood[0] * np.exp(start - start.max())
    backward[-1] = np.exp(end - end.max())
    _products(steps, list(forward), transposed=True)
    _products(steps[::-1], list(backward[::-1]), transposed=False)
    joint = forward * backward
    probabilities: Array = joint / joint.sum(axis=1, keepdims=True)
    return probabilities


def _products(steps: list[Array], vectors: list[Array], *, transposed: bool) -> None:
    """Fill `vectors` after the first, each from the one before it and a step; scaled often enough to stay in range."""
    for index, (step, before, here) in enumerate(zip(steps, vectors[:-1], vectors[1:], strict=True)):
        np.dot(before if transposed else step, step if transposed else before, out=here)
        if index % RESCALE == 0:
            np.divide(here, here.sum(), out=here)
