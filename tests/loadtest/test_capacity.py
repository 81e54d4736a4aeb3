"""The queueing simulation against what queueing theory knows, and the number of replicas that follows."""

from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.measure import percentile
from loadtest.bench.sizing import Check, Sized, Sizing
from loadtest.capacity import CapacityError, ServiceModel, fit_fixed, plan, simulate

ONE_BY_ONE = ServiceModel(alone=(0.01,), steps=1, fixed=0.0, at_once=1)
"""An M/D/1 queue."""
BATCHER = ServiceModel(alone=(0.008, 0.012), steps=1, fixed=0.8, at_once=64)
DECODER = ServiceModel(alone=(0.01, 0.02, 0.03), steps=10, fixed=0.7, at_once=32)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_request_at_a_time_waits_as_long_as_theory_says(load: float) -> None:
    # Pollaczek and Khinchine: with constant service the mean wait is load · service / (2 · (1 - load)).
    expected = 0.01 * (1 + load / (2 * (1 - load)))
    assert fmean(simulate(ONE_BY_ONE, load * 100, requests=30_000)) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("model", [ONE_BY_ONE, BATCHER, DECODER], ids=["one by one", "batcher", "decoder"])
def test_who_comes_alone_takes_as_long_as_alone(model: ServiceModel) -> None:
    latencies = simulate(model, 0.001, requests=500)
    assert {round(each, 4) for each in latencies} == {round(each, 4) for each in model.alone}


def test_a_batch_that_costs_nothing_more_is_waited_for_at_most_once() -> None:
    latencies = simulate(ServiceModel((0.01,), 1, fixed=1.0, at_once=10**6), 5000, requests=2000)
    assert min(latencies) >= 0.01
    assert max(latencies) <= 0.02 + 1e-9


def test_whoever_joins_a_running_batch_waits_for_a_step_and_not_for_its_end() -> None:
    static = ServiceModel(DECODER.alone, 1, DECODER.fixed, DECODER.at_once)
    rate = 0.5 * DECODER.peak
    assert percentile(simulate(DECODER, rate), 0.5) < percentile(simulate(static, rate), 0.5)


@given(st.floats(0, 1), st.integers(2, 100), st.floats(0.001, 0.1))
def test_what_grows_with_a_batch_is_found_again(fixed: float, requests: int, alone: float) -> None:
    model = ServiceModel((alone,), 1, fixed, requests)
    assert fit_fixed(alone, model.peak, requests) == pytest.approx(fixed, abs=1e-6)


@pytest.mark.parametrize("model", [BATCHER, DECODER], ids=["batcher", "decoder"])
@pytest.mark.parametrize("bound", [0.05, 0.2])
def test_the_fewest_replicas_that_keep_the_bound_are_found(model: ServiceModel, bound: float) -> None:
    found = plan(model, 3000, bound, requests=2000)
    assert found.p99 <= bound
    assert found.utilisation < 1
    fewer = 3000 / (found.replicas - 1)
    assert fewer >= model.peak or percentile(simulate(model, fewer, requests=2000), 0.99) > bound


def test_more_requests_need_more_replicas_and_less_than_in_proportion() -> None:
    found = [plan(BATCHER, rate, 0.1, requests=1000).replicas for rate in (10, 1000, 10_000)]
    assert found[0] == 1 < found[1] < found[2] <= 10 * found[1]


def test_what_no_replicas_can_keep_is_refused() -> None:
    with pytest.raises(CapacityError, match=r"99 of 100 requests take 30\.0 ms alone"):
        plan(DECODER, 1, 0.02)
    with pytest.raises(CapacityError, match="need over"):
        plan(ServiceModel((1.0,), 1, 0.0, 1), 1e6, 2.0, requests=100)
    with pytest.raises(CapacityError, match="a service needs times above 0"):
        ServiceModel((), 1, 0.5, 1)


def test_the_tables_say_how_many_and_how_far_the_simulation_is_off() -> None:
    check = Check(0.5, 100.0, (0.010, 0.030), (0.011, 0.040))
    sized = Sized("classify", "small", 900.0, BATCHER, [check])
    replicas, service, checks = Sizing([sized], [10.0, 1000.0], [5.0, 100.0]).tables()
    assert [row[:3] for row in replicas.rows] == [("/v1/classify", "10", "never"), ("/v1/classify", "1,000", "never")]
    assert replicas.rows[0][3].startswith("1 (")
    assert service.rows[0][:6] == ("small (classify)", "10.00", "12.00", "1.0", "64", "0.80")
    assert service.rows[0][6:] == ("900",)
    assert checks.rows == [("small", "100 (50%)", "10.0", "30.0", "11.0", "40.0", "-25%")]


def test_replicas_are_planned_with_what_the_simulation_was_off_by() -> None:
    def sized(*factors: float) -> Sized:
        loads = enumerate(factors, start=1)
        checks = [Check(0.3 * n, 270.0 * n, (0.01, 0.03), (0.01, 0.03 * factor)) for n, factor in loads]
        return Sized("classify", "small", 900.0, BATCHER, checks)

    def planned(bound: float) -> int:
        return max(plan(BATCHER, 3000.0, bound).replicas, 4)

    assert sized(0.5, 0.8, 1.0).replicas(3000.0, 0.05) == planned(0.05), "what came out shorter takes nothing off"
    assert sized(2.0, 2.0, 2.0).replicas(3000.0, 0.1) == planned(0.05)
    # As busy as the last check nothing keeps to the bound, but less busy ones do.
    assert sized(1.0, 50.0, 50.0).replicas(3000.0, 0.1) == max(plan(BATCHER, 3000.0, 0.1).replicas, 12)
    with pytest.raises(CapacityError, match="nothing that was measured keeps to 20 ms"):
        sized(2.0, 2.0, 2.0).replicas(3000.0, 0.02)
