"""Policies differ in when requests join, and in nothing else."""

from __future__ import annotations

from collections import deque
from itertools import count, pairwise

import pytest

from loadtest.bench.batching import Batching, FirstToken, Throughput, drain, poisson_arrivals, serve
from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import run_closed_loop, start_engine, to_requests
from loadtest.bench.measure import Spread
from loadtest.bench.policies import POLICIES, Loop, Policy, Workload, pad
from service.runtime.bundle import Bundle
from service.runtime.requests import GenerateRequest, Search


@pytest.fixture(scope="module", params=[1, 4], ids=["greedy", "beam 4"])
def requests(request: pytest.FixtureRequest, bundle: Bundle, corpus: Corpus) -> list[GenerateRequest]:
    return to_requests(bundle, corpus.sources, Search(beam_size=request.param, max_length=24))


@pytest.fixture
def steps(bundle: Bundle, requests: list[GenerateRequest]) -> list[int]:
    engine = start_engine(bundle, slots=32)
    generations = run_closed_loop(engine, requests, outstanding=5)
    engine.close()
    return [generation.steps for generation in generations]


def loop(bundle: Bundle, policy: Policy, requests: list[GenerateRequest], concurrency: int = 5) -> Loop:
    return Loop(bundle, policy, concurrency, requests[0].search.beam_size)


@pytest.mark.parametrize("policy", ["continuous", "leaving"])
def test_requests_take_the_steps_that_they_take_in_the_engine(
    bundle: Bundle, requests: list[GenerateRequest], steps: list[int], policy: Policy
) -> None:
    assert len(set(steps)) > 1, "lengths must differ, or there is nothing to compare"
    assert drain(loop(bundle, policy, requests), Workload(requests, steps)) == steps


def test_dragged_requests_take_the_steps_of_the_longest_of_their_batch(
    bundle: Bundle, requests: list[GenerateRequest], steps: list[int]
) -> None:
    dragged = drain(loop(bundle, "dragging", requests), Workload(requests, steps))
    batches = [steps[start : start + 5] for start in range(0, len(steps), 5)]
    assert dragged == [max(batch) for batch in batches for _ in batch]


@pytest.mark.parametrize(("policy", "joined_late"), [("continuous", True), ("leaving", False), ("dragging", False)])
def test_only_continuous_batching_lets_newcomers_in(
    bundle: Bundle, requests: list[GenerateRequest], steps: list[int], policy: Policy, joined_late: bool
) -> None:
    tried = loop(bundle, policy, requests, concurrency=4)
    workload = Workload(requests, steps)
    queue = deque(range(len(requests)))
    assert tried.admit(queue, workload) == [0, 1, 2, 3]
    assert tried.admit(queue, workload) == []
    left = 4
    while left == 4:
        left -= len(tried.step())
    assert bool(tried.admit(queue, workload)) == (joined_late or left == 0)


def test_first_tokens_are_timed_from_arrival(bundle: Bundle, corpus: Corpus) -> None:
    requests = to_requests(bundle, corpus.sources[:3], Search(max_length=2))
    ticks = count()
    # Each admit-and-step takes one tick: the second arrives while the first is decoded, the third long after.
    waits = serve(
        loop(bundle, "continuous", requests), Workload(requests, []), [0.0, 0.5, 100.0], lambda: float(next(ticks))
    )
    assert waits == [1.0, 1.5, 1.0]
    waits = serve(
        loop(bundle, "leaving", requests), Workload(requests, []), [0.0, 0.5, 100.0], lambda: float(next(ticks))
    )
    assert waits == [1.0, 2.5, 1.0]


def test_arrivals_are_as_many_a_second_as_asked() -> None:
    arrivals = poisson_arrivals(20_000, 50.0)
    assert arrivals == sorted(arrivals)
    assert len(arrivals) / arrivals[-1] == pytest.approx(50, rel=0.03)
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert sum(gap > 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02), (
        "exponential: 1/e beyond the mean"
    )


def test_sources_are_padded_to_the_longest(bundle: Bundle, corpus: Corpus) -> None:
    rows = [request.inputs["source_ids"] for request in to_requests(bundle, corpus.sources[:3], Search())]
    padded = pad(rows)
    assert padded["source_lengths"].tolist() == [len(row) for row in rows]
    for ids, row in zip(padded["source_ids"], rows, strict=True):
        assert ids[: len(row)].tolist() == row.tolist()
        assert not ids[len(row) :].any()


def test_the_table_shows_by_how_much_continuous_batching_is_faster() -> None:
    rates = {"continuous": (100.0, 120.0, 90.0), "leaving": (50.0, 40.0, 60.0), "dragging": (25.0, 30.0, 30.0)}
    result = Batching(
        "test",
        [Throughput(1, policy, Spread(rates[policy])) for policy in POLICIES],
        [FirstToken("continuous", 0.7, 0.0012, 0.0034, 0.01)],
    )
    throughput, first = result.tables()
    assert [row[3] for row in throughput.rows] == ["–", "2.00× (1.50–3.00)", "4.00× (3.00–4.00)"]
    assert first.rows == [("continuous", "70%", "1.2", "3.4", "10.0")]
