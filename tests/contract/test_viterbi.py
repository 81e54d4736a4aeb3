from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract.viterbi import Array, best_path, marginals

Chain = tuple[Array, Array, Array, Array]


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    words, tags = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    score = st.integers(-400, 400).map(lambda hundredths: hundredths / 100)
    shapes = ((words, tags), (tags,), (tags, tags), (tags,))
    emissions, start, transitions, end = (draw(arrays(np.float64, shape, elements=score)) for shape in shapes)
    return emissions, start, transitions, end


def score(path: tuple[int, ...], emissions: Array, start: Array, transitions: Array, end: Array) -> float:
    moves = sum(transitions[one, other] for one, other in pairwise(path))
    return float(start[path[0]] + sum(emissions[i, tag] for i, tag in enumerate(path)) + moves + end[path[-1]])


def every_path(chain: Chain) -> list[tuple[tuple[int, ...], float]]:
    words, tags = chain[0].shape
    return [(path, score(path, *chain)) for path in product(range(tags), repeat=words)]


@given(chains())
def test_the_best_path_is_that_of_all_paths_tried(chain: Chain) -> None:
    best = max(total for _, total in every_path(chain))
    found = best_path(*chain)
    assert len(found) == len(chain[0])
    np.testing.assert_allclose(score(tuple(found), *chain), best, atol=1e-9)


@given(chains())
def test_marginals_are_the_shares_of_all_paths(chain: Chain) -> None:
    expected = np.zeros_like(chain[0])
    for path, total in every_path(chain):
        expected[np.arange(len(path)), path] += np.exp(total)
    expected /= expected.sum(axis=1, keepdims=True)
    found = marginals(*chain)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_long_sentences_and_large_scores_stay_in_range() -> None:
    draw = np.random.default_rng(1)
    emissions = draw.normal(scale=300, size=(2_000, 3)).astype(np.float32)
    transitions = np.array([[-60.0, 0, 0], [0, -60, 0], [0, 0, -60]])
    found = marginals(emissions, np.zeros(3), transitions, np.zeros(3))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found >= 0).all()
    chosen = found[np.arange(2_000), best_path(emissions, np.zeros(3), transitions, np.zeros(3))]
    assert np.median(chosen) > 0.999
