"""Policies differ in when requests join, and in nothing else."""

from __future__ import annotations

from itertools import count, pairwise

import pytest

from loadtest.bench.batching import Batching, FirstToken, Throughput, poisson_arrivals, serve, to_measured
from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import run_closed_loop, start_engine, to_requests
from loadtest.bench.measure import Spread
from loadtest.bench.policies import POLICIES, Continuous, Dragging, Leaving, Measured, run_waiting
from service.runtime.bundle import Bundle
from service.runtime.decoding import EngineSettings
from service.runtime.requests import Search

REQUESTS = 5
"""At a time."""


@pytest.fixture(scope="module", params=[1, 4], ids=["greedy", "beam 4"])
def settings(request: pytest.FixtureRequest) -> EngineSettings:
    return EngineSettings(slots=REQUESTS * request.param, patience=0)


@pytest.fixture(scope="module")
def requests(bundle: Bundle, corpus: Corpus, settings: EngineSettings) -> list[Measured]:
    assert settings.slots is not None
    return to_measured(Continuous(bundle, settings), corpus, settings.slots // REQUESTS)


def test_requests_take_the_steps_that_they_take_in_the_engine(
    bundle: Bundle, requests: list[Measured], settings: EngineSettings
) -> None:
    engine = start_engine(bundle, settings)
    steps = [generation.steps for generation in run_closed_loop(engine, requests, outstanding=7)]
    engine.close()
    assert len(set(steps)) > 1, "lengths must differ, or there is nothing to compare"
    assert [request.steps for request in requests] == steps


@pytest.mark.parametrize("policy", [Continuous, Leaving])
def test_what_is_written_does_not_depend_on_who_came_in_when(
    bundle: Bundle, requests: list[Measured], settings: EngineSettings, policy: type[Continuous]
) -> None:
    alone = run_waiting(Continuous(bundle, settings), requests, waiting=1)
    together = run_waiting(policy(bundle, settings), requests, waiting=9)
    assert [g.hypotheses[0].token_ids for g in together] == [g.hypotheses[0].token_ids for g in alone]


def test_dragged_requests_take_the_steps_of_the_longest_of_their_batch(
    bundle: Bundle, requests: list[Measured], settings: EngineSettings
) -> None:
    steps = [request.steps for request in requests]
    dragged = [generation.steps for generation in run_waiting(Dragging(bundle, settings), requests, len(requests))]
    batches = [steps[start : start + REQUESTS] for start in range(0, len(steps), REQUESTS)]
    assert dragged == [max(batch) for batch in batches for _ in batch]


@pytest.mark.parametrize(("name", "joins"), [("continuous", True), ("leaving", False), ("dragging", False)])
def test_only_continuous_batching_lets_newcomers_in(
    bundle: Bundle, requests: list[Measured], settings: EngineSettings, name: str, joins: bool
) -> None:
    engine = POLICIES[name](bundle, settings)
    for request in requests:
        engine.submit(request)
    assert len(engine.turn()) == REQUESTS
    while engine.outstanding == len(requests):
        assert engine.turn() == []
    left_midway = engine.running_rows > 0
    assert left_midway == (name != "dragging")
    assert bool(engine.turn()) == (joins or not left_midway)


def test_first_tokens_are_timed_from_arrival(bundle: Bundle, corpus: Corpus) -> None:
    plain = to_requests(bundle, corpus.sources[:3], Search(max_length=2))
    requests = [Measured(request.inputs, request.search, steps=2) for request in plain]
    # Each turn takes one tick: the second arrives while the first is decoded, the third long after.
    arrivals = [0.0, 0.5, 100.0]
    for policy, waits in ((Continuous, [1.0, 1.5, 1.0]), (Leaving, [1.0, 2.5, 1.0])):
        ticks = count()
        assert serve(policy(bundle, EngineSettings()), requests, arrivals, lambda now=ticks: float(next(now))) == waits


def test_arrivals_are_as_many_a_second_as_asked() -> None:
    arrivals = poisson_arrivals(20_000, 50.0)
    assert arrivals == sorted(arrivals)
    assert len(arrivals) / arrivals[-1] == pytest.approx(50, rel=0.03)
    beyond_mean = [later - earlier > 0.02 for earlier, later in pairwise(arrivals)]
    assert sum(beyond_mean) / len(beyond_mean) == pytest.approx(0.368, abs=0.02), "exponential: 1/e"


def test_the_table_shows_by_how_much_continuous_batching_is_faster() -> None:
    rates = {"continuous": (100.0, 120.0, 90.0), "leaving": (50.0, 40.0, 60.0), "dragging": (25.0, 30.0, 30.0)}
    result = Batching(
        "test",
        [Throughput(1, policy, 32, Spread(rates[policy])) for policy in POLICIES],
        [FirstToken(4, "continuous", 0.7, 0.0012, 0.0034, 0.01)],
    )
    throughput, first = result.tables()
    assert [row[4] for row in throughput.rows] == ["–", "2.00× (1.50–3.00)", "4.00× (3.00–4.00)"]
    assert first.rows == [("beam 4", "continuous", "70%", "1.2", "3.4", "10.0")]
