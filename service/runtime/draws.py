"""Requests that draw their tokens, side by side.

What a request draws depends on its seed and on the scores of its own row alone, to the last bit: whoever else is
running, and however many candidates they asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.runtime.requests import Sampling
from service.runtime.search import Bools, Floats, Ints

_COLDEST = 1e-6
"""A temperature below it would only overflow: at this one the best token is drawn for certain, ties apart."""
_ROUNDING = 1e-12


class Draws:
    """How the requests of a lane draw, in the lane's order."""

    def __init__(self) -> None:
        self._temperatures: Floats = np.zeros(0)
        self._top_ks: Ints = np.zeros(0, dtype=np.int64)
        self._top_ps: Floats = np.zeros(0)
        self._generators: list[np.random.Generator] = []

    def add(self, sampling: Sampling) -> None:
        """Append a request."""
        self._temperatures = np.append(self._temperatures, max(sampling.temperature, _COLDEST))
        self._top_ks = np.append(self._top_ks, sampling.top_k)
        self._top_ps = np.append(self._top_ps, sampling.top_p)
        self._generators.append(np.random.default_rng(sampling.seed))

    def remove(self, which: Bools) -> None:
        """Take requests out."""
        self._temperatures = self._temperatures[~which]
        self._top_ks = self._top_ks[~which]
        self._top_ps = self._top_ps[~which]
        self._generators = [each for each, gone in zip(self._generators, which.tolist(), strict=True) if not gone]

    def columns(self, scores: NDArray[Any]) -> Ints:
        """Draw a candidate for each request; returns their columns.

        Args:
            scores: `[requests, k]` log-probabilities of each request's candidates, best first.
        """
        uniforms = np.array([generator.random() for generator in self._generators])
        width = int(self._top_ks.max())
        return draw_columns(scores[:, :width], self._temperatures, self._top_ks, self._top_ps, uniforms)


def draw_columns(scores: NDArray[Any], temperatures: Floats, top_ks: Ints, top_ps: Floats, uniforms: Floats) -> Ints:
    """Draw a candidate of each row: the temperature applies within the top-k, of which the nucleus is kept.

    The nucleus (Holtzman et al. 2020) are the fewest best candidates whose share is at least top-p.

    Args:
        scores: `[rows, k]` log-probabilities, best first.
        temperatures: `[rows]`, above 0.
        top_ks: `[rows]` how many of the best candidates a row draws from.
        top_ps: `[rows]` share of the nucleus.
        uniforms: `[rows]` numbers drawn evenly from [0, 1).

    Returns:
        `[rows]` columns of `scores`.
    """
    logits = scores.astype(np.float64)
    weights = np.exp((logits - logits[:, :1]) / temperatures[:, None])
    weights[np.arange(scores.shape[1]) >= top_ks[:, None]] = 0.0
    # Added up one after the other, so that the zeros of a wider neighbour's columns leave a row's sums as they are.
    shares = weights.cumsum(axis=1)
    nucleus = (shares < (top_ps - _ROUNDING)[:, None] * shares[:, -1:]).sum(axis=1)
    mass = shares[np.arange(len(shares)), nucleus]
    drawn = (shares <= (uniforms * mass)[:, None]).sum(axis=1)
    columns: Ints = np.minimum(drawn, nucleus)
    return columns
