"""Drawing against the distribution that its words define."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.draws import Draws, draw_columns
from service.runtime.requests import Sampling

SCORES = np.log(np.array([0.5, 0.25, 0.15, 0.1], dtype=np.float32))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(top_k=4), [0.5, 0.25, 0.15, 0.1]),
        (Sampling(top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(top_p=0.7), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(top_p=0.75), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(top_p=0.01), [1, 0, 0, 0]),
        (Sampling(top_k=3, top_p=0.8), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(temperature=0.5), [0.725, 0.181, 0.065, 0.029]),
        (Sampling(temperature=1e-300), [1, 0, 0, 0]),
    ],
)
def test_draws_follow_the_distribution_within_top_k_and_top_p(sampling: Sampling, expected: list[float]) -> None:
    count = 20_000
    columns = draw_columns(
        np.repeat(SCORES[None], count, axis=0),
        np.full(count, max(sampling.temperature, 1e-6)),
        np.full(count, sampling.top_k),
        np.full(count, sampling.top_p),
        np.random.default_rng(0).random(count),
    )
    assert (np.bincount(columns, minlength=4) / count).tolist() == pytest.approx(expected, abs=0.02)


samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 5, exclude_min=True),
    top_k=st.integers(1, 40),
    top_p=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**32 - 1),
)


@given(st.lists(samplings, min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_a_request_draws_in_company_what_it_draws_alone(requests: list[Sampling], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = -np.sort(rng.exponential(3, (5, len(requests), 40)), axis=2).astype(np.float32)
    together, alone = Draws(), [Draws() for _ in requests]
    for each, sampling in zip(alone, requests, strict=True):
        together.add(sampling)
        each.add(sampling)
    left = np.arange(len(requests))
    for step in scores:
        columns = together.columns(step[left])
        assert columns.tolist() == [int(alone[i].columns(step[i : i + 1, : requests[i].top_k])[0]) for i in left]
        assert all(column < requests[i].top_k for i, column in zip(left, columns, strict=True))
        gone = rng.random(len(left)) < 0.2
        if gone.all():
            break
        together.remove(gone)
        left = left[~gone]


def test_the_same_seed_draws_the_same_columns_and_another_others() -> None:
    def run(seed: int) -> list[int]:
        draws = Draws()
        draws.add(Sampling(seed=seed))
        return [int(draws.columns(SCORES[None])[0]) for _ in range(30)]

    assert run(7) == run(7)
    assert len({tuple(run(seed)) for seed in range(5)}) == 5
