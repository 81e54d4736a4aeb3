"""Searches against slow, obvious references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.requests import Sampling
from service.runtime.search import (
    candidates_needed,
    choose_beams,
    common_prefix,
    normalised_score,
    place_survivors,
)

EOS = 3


@pytest.mark.parametrize(("beam_size", "sampling", "needed"), [(1, None, 1), (4, None, 8), (1, Sampling(top_k=40), 40)])
def test_candidates_needed(beam_size: int, sampling: Sampling | None, needed: int) -> None:
    assert candidates_needed(beam_size, sampling) == needed


@given(st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_choose_beams_takes_the_best_continuations(width: int, groups: int, fresh: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    live = 1 if fresh else width
    k = 2 * width
    candidates = np.stack([rng.permutation(20)[:k] for _ in range(groups * live)]).reshape(groups, live, k)
    scores = -np.sort(rng.random((groups, live, k)), axis=2)
    totals = -rng.random((groups, live))
    choice = choose_beams(totals, candidates, scores, width, EOS)
    for group in range(groups):
        continuations = sorted(
            (-(totals[group, beam] + scores[group, beam, rank]), beam, int(candidates[group, beam, rank]))
            for beam in range(live)
            for rank in range(k)
        )[:k]
        assert choice.tokens[group].tolist() == [token for _, _, token in continuations]
        assert choice.parents[group].tolist() == [beam for _, beam, _ in continuations]
        np.testing.assert_allclose(choice.totals[group], [-total for total, _, _ in continuations])
        alive = [(token, beam) for _, beam, token in continuations if token != EOS][:width]
        tokens, parents, _ = choice.survivors()
        assert list(zip(tokens[group].tolist(), parents[group].tolist(), strict=True)) == alive
        assert choice.ended[group].tolist() == [token == EOS for _, _, token in continuations[:width]]


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_survivors_are_placed_with_the_fewest_copies(width: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parents = rng.integers(0, width, (groups, width))
    rows = rng.permutation(groups * width).reshape(groups, width)
    placed, destination, source = place_survivors(parents, rows)
    content = {int(row): int(row) for row in rows.ravel()}
    assert not set(destination.tolist()) & set(source.tolist())
    for to, origin in zip(destination.tolist(), source.tolist(), strict=True):
        content[to] = content[origin]
    for group in range(groups):
        assert sorted(placed[group].tolist()) == sorted(rows[group].tolist())
        assert [content[row] for row in placed[group].tolist()] == rows[group][parents[group]].tolist()
    assert len(destination) == sum(width - len(set(group.tolist())) for group in parents)


def test_the_score_counts_the_end_token() -> None:
    assert normalised_score(-6.0, 3, 1.0) == -2.0
    assert normalised_score(-6.0, 4, 0.5) == -3.0
    assert normalised_score(-6.0, 3, 0.0) == -6.0


def test_common_prefix() -> None:
    sequences = [np.array(ids) for ids in ([5, 6, 7], [5, 6, 8, 9], [5, 6])]
    assert common_prefix(sequences) == 2
    assert common_prefix([np.array([5]), np.array([6])]) == 0
    assert common_prefix([np.array([5, 6])]) == 2
