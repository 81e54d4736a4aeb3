"""The engine on real graphs and real threads: every row gets its own result, or a clear refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.manifest import Limits
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.errors import (
    DeadlineExceededError,
    EngineFailedError,
    InputTooLongError,
    NoAttentionError,
    QueueFullError,
    ShuttingDownError,
)
from service.runtime.oneshot import OneShotEngine, OneShotSettings, Ticket
from service.runtime.requests import Observer, Prediction, PredictRequest
from tests.service.runtime.toy_graphs import (
    VOCABULARY,
    Row,
    make_recommender,
    make_tagger,
    recommend_outputs,
    session_row,
    tag_outputs,
    tag_row,
)

BUNDLES = Path(__file__).parents[2] / "data" / "bundles" / "v1"
TOLERANCE = 1e-3
"""Of sums of up to a thousand in float32."""


class Watcher(Observer):
    """Counts batches; `seen` holds the rows of each."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.paddings: list[float] = []
        self.costs: list[int] = []
        self.waits: list[float] = []
        self.reasons: list[str] = []

    def admitted(self, queue_seconds: float) -> None:
        self.waits.append(queue_seconds)

    def predicted(self, rows: int, cost: int, padding: float, seconds: float) -> None:
        self.seen.append(rows)
        self.costs.append(cost)
        self.paddings.append(padding)

    def dropped(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def tagger(request: pytest.FixtureRequest) -> Iterator[OneShotEngine]:
    engine = OneShotEngine(make_tagger(), OneShotSettings(workers=request.param, max_rows=8))
    engine.start()
    yield engine
    engine.close(drain=False)


@pytest.fixture(scope="module")
def recommender() -> Iterator[OneShotEngine]:
    engine = OneShotEngine(make_recommender())
    engine.start()
    yield engine
    engine.close(drain=False)


def check(prediction: Prediction, expected: Row) -> None:
    assert prediction.outputs.keys() == expected.keys()
    for name, array in expected.items():
        assert prediction.outputs[name].shape == array.shape
        np.testing.assert_allclose(prediction.outputs[name], array, atol=TOLERANCE)


@pytest.mark.parametrize(("make_row", "outputs"), [(tag_row, tag_outputs), (session_row, recommend_outputs)])
def test_200_requests_at_once_give_what_each_gives_alone(
    tagger: OneShotEngine,
    recommender: OneShotEngine,
    make_row: Callable[[int], dict[str, Any]],
    outputs: Callable[[Row], dict[str, Any]],
) -> None:
    """Of all lengths, with and without filters, each with a `k` of its own."""
    engine = tagger if make_row is tag_row else recommender
    rows = [make_row(seed) for seed in range(200)]
    tickets = [engine.submit(PredictRequest(row)) for row in rows]
    for row, ticket in zip(rows, tickets, strict=True):
        check(ticket.future.result(10), outputs(row))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_arrivals_cancellations_and_deadlines_disturb_nobody(tagger: OneShotEngine, data: st.DataObject) -> None:
    seeds = data.draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
    submitted = []
    for seed in seeds:
        fate = data.draw(st.sampled_from(["runs", "runs", "cancelled", "expired", "bad"]))
        row = tag_row(seed)
        if fate == "bad":
            row["source_ids"][0] = VOCABULARY
        deadline = time.monotonic() - 1 if fate == "expired" else None
        ticket = tagger.submit(PredictRequest(row, deadline, data.draw(st.integers(0, 2))))
        if fate == "cancelled":
            ticket.cancel()
        submitted.append((fate, row, ticket))
        if data.draw(st.booleans()):
            time.sleep(0.0005)
    assert not wait([ticket.future for _, _, ticket in submitted], 10).not_done
    for fate, row, ticket in submitted:
        if fate == "cancelled" and ticket.future.cancelled():
            continue
        if fate == "expired":
            assert isinstance(ticket.future.exception(), DeadlineExceededError)
        elif fate == "bad":
            assert isinstance(ticket.future.exception(), EngineFailedError)
        else:
            check(ticket.future.result(), tag_outputs(row))
    # Whoever waits for a future hears of its end a moment before the queue does.
    end = time.monotonic() + 10
    while tagger.queue_depth and time.monotonic() < end:
        time.sleep(0.001)
    assert tagger.queue_depth == 0
    assert tagger.alive


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def waiting(watcher: Watcher, **options: Any) -> OneShotEngine:
    """An engine that has yet to be started, so that what is submitted waits."""
    return OneShotEngine(make_tagger(), OneShotSettings(**{"max_cost": 4096, **options}), watcher)


def run(engine: OneShotEngine) -> None:
    """Do what waits, and end."""
    engine.start()
    engine.close(drain=True)


def note_batch(ticket: Ticket, watcher: Watcher, batches: dict[int, int]) -> None:
    """Note in which batch a ticket is done."""
    ticket.future.add_done_callback(lambda _: batches.__setitem__(ticket.number, len(watcher.seen)))


def test_a_list_of_a_thousand_keeps_others_waiting_for_two_batches(watcher: Watcher) -> None:
    engine = waiting(watcher, max_rows=8, window=16)
    batches: dict[int, int] = {}
    for seed in range(1000):
        note_batch(engine.submit(PredictRequest(tag_row(seed), group=5)), watcher, batches)
    singles = [engine.submit(PredictRequest(tag_row(seed))) for seed in range(3)]
    for single in singles:
        note_batch(single, watcher, batches)
    run(engine)
    # Each is the first of a batch, at the latest after the list and the singles before it.
    assert all(batches[single.number] <= place for place, single in enumerate(singles, start=1))
    assert sum(watcher.seen) == 1003
    assert max(watcher.seen) == 8
    assert len(watcher.seen) < 1003 / 3, "and yet the list fills its batches"


def test_a_long_row_among_short_ones_does_not_starve(watcher: Watcher) -> None:
    engine = waiting(watcher, max_rows=4, run_rows=0.5)
    batches: dict[int, int] = {}
    for seed in range(8):
        engine.submit(PredictRequest(tag_row(seed, words=2)))
    long = engine.submit(PredictRequest(tag_row(8, words=24)))
    note_batch(long, watcher, batches)
    for seed in range(9, 60):
        engine.submit(PredictRequest(tag_row(seed, words=2)))
    run(engine)
    assert watcher.seen[batches[long.number]] == 1, "nobody is padded to it"
    assert batches[long.number] <= 8, "it comes when those before it have come"


def test_batches_are_cut_by_cost_and_reported(watcher: Watcher) -> None:
    row = tag_row(0, words=5)
    longest = row["character_ids"].shape[1]
    cost = 5 + 1 + 5 * longest + 5
    engine = waiting(watcher, max_cost=3 * cost)
    for _ in range(7):
        engine.submit(PredictRequest(row))
    run(engine)
    assert watcher.seen == [3, 3, 1]
    assert watcher.costs == [3 * cost, 3 * cost, cost]
    assert watcher.paddings == [0, 0, 0]
    assert len(watcher.waits) == 7
    assert min(watcher.waits) > 0


def test_padding_is_the_share_of_the_batch_that_is_empty(watcher: Watcher) -> None:
    engine = OneShotEngine(make_recommender(), OneShotSettings(run_rows=100), watcher)
    for items in (4, 12):
        row = session_row(0) | {"item_ids": np.ones(items, np.int64), "filter_ids": np.ones(1, np.int64)}
        engine.submit(PredictRequest(row))
    run(engine)
    assert watcher.costs == [2 * (12 + 4)]
    assert watcher.paddings == [8 / 32]


def test_the_cancelled_and_the_late_cost_nothing(watcher: Watcher) -> None:
    engine = waiting(watcher)
    late = engine.submit(PredictRequest(tag_row(0), deadline=time.monotonic() - 1))
    cancelled = engine.submit(PredictRequest(tag_row(1)))
    kept = engine.submit(PredictRequest(tag_row(2)))
    cancelled.cancel()
    assert engine.queue_depth == 2
    run(engine)
    assert watcher.seen == [1]
    check(kept.future.result(), tag_outputs(tag_row(2)))
    assert isinstance(late.future.exception(), DeadlineExceededError)
    assert sorted(watcher.reasons) == ["cancelled", "deadline-exceeded"]


@pytest.mark.parametrize("bad", [[0], [3, 4], [0, 15], list(range(16))])
def test_bad_rows_fail_alone_and_in_few_runs(watcher: Watcher, bad: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = waiting(watcher, max_rows=16, run_rows=1000)
    rows = [tag_row(seed) for seed in range(16)]
    for index in bad:
        rows[index]["source_ids"][0] = VOCABULARY
    tickets = [engine.submit(PredictRequest(row)) for row in rows]
    runs = []
    predict = engine._predictor.run
    monkeypatch.setattr(engine._predictor, "run", lambda *args: (runs.append(len(args[0])), predict(*args))[1])
    engine.start()
    runs.clear()
    engine.close(drain=True)
    for index, (row, ticket) in enumerate(zip(rows, tickets, strict=True)):
        if index in bad:
            with pytest.raises(EngineFailedError, match="predict failed"):
                ticket.future.result(0)
        else:
            check(ticket.future.result(0), tag_outputs(row))
    assert len(runs) <= 2 * 16 - 1
    assert len(runs) <= 1 + 2 * 4 * len(bad), "each bad row costs two runs at each halving"
    assert watcher.reasons == ["engine-failed"] * len(bad)


@pytest.mark.parametrize(
    ("make", "name", "shape", "axis", "limit"),
    [
        (make_tagger, "source_ids", (25,), "source", 24),
        (make_tagger, "character_ids", (3, 7), "characters", 6),
        (make_recommender, "item_ids", (13,), "items", 12),
        (make_recommender, "filter_ids", (21,), "filters", 20),
        (make_recommender, "k", 16, "k", 15),
    ],
)
def test_what_is_too_long_is_refused_at_once(
    make: Callable[[], Bundle], name: str, shape: Any, axis: str, limit: int
) -> None:
    engine = OneShotEngine(make())
    size = shape if isinstance(shape, int) else shape[-1]
    row = tag_row(0, words=3) if make is make_tagger else session_row(0)
    row[name] = np.array(shape) if isinstance(shape, int) else np.ones(shape, np.int64)
    if axis == "source":
        row |= {"character_ids": np.ones((25, 2), np.int64), "character_counts": np.ones(25, np.int64)}
    with pytest.raises(InputTooLongError, match=f"{size} along '{axis}', at most {limit}"):
        engine.submit(PredictRequest(row))
    assert engine.queue_depth == 0


def test_times_add_up(tagger: OneShotEngine) -> None:
    result = tagger.submit(PredictRequest(tag_row(3))).future.result(10)
    assert result.queue_seconds >= 0
    assert result.run.seconds > 0
    assert result.total_seconds == pytest.approx(result.queue_seconds + result.run.seconds)


def test_a_full_queue_refuses_and_a_closing_engine_finishes_what_it_accepted() -> None:
    engine = OneShotEngine(make_tagger(), OneShotSettings(max_queue=3))
    tickets = [engine.submit(PredictRequest(tag_row(seed))) for seed in range(3)]
    with pytest.raises(QueueFullError, match="retry later"):
        engine.submit(PredictRequest(tag_row(3)))
    assert not engine.alive
    engine.start()
    assert engine.alive
    engine.close(drain=True)
    assert not engine.alive
    for seed, ticket in enumerate(tickets):
        check(ticket.future.result(0), tag_outputs(tag_row(seed)))
    with pytest.raises(ShuttingDownError):
        engine.submit(PredictRequest(tag_row(0)))


def test_closing_without_draining_drops_what_is_left() -> None:
    engine = OneShotEngine(make_tagger(), OneShotSettings(max_rows=1))
    tickets = [engine.submit(PredictRequest(tag_row(seed))) for seed in range(300)]
    engine.start()
    engine.close(drain=False)
    dropped = 0
    for seed, ticket in enumerate(tickets):
        try:
            check(ticket.future.result(0), tag_outputs(tag_row(seed)))
        except CancelledError:
            dropped += 1
    assert dropped > 0


def test_only_one_shot_models_are_taken() -> None:
    generator = open_bundle(BUNDLES / "tiny-en-de", provider="cpu")
    with pytest.raises(TypeError, match="a generate model does not answer in a single pass"):
        OneShotEngine(generator)


def test_attention_of_one_row(tagger: OneShotEngine) -> None:
    inputs = {"source_ids": np.array([3, 1, 2]), "source_lengths": np.array(3)}
    maps = tagger.explain(inputs)
    exponentials = np.exp([3, 1, 2])
    np.testing.assert_allclose(maps["attention"], exponentials / exponentials.sum(), rtol=1e-5)
    with pytest.raises(InputTooLongError, match="25 along 'source'"):
        tagger.explain({"source_ids": np.ones(25, np.int64), "source_lengths": np.array(25)})


def test_a_model_without_attention_explains_nothing(recommender: OneShotEngine) -> None:
    with pytest.raises(NoAttentionError, match="'toy-recommend' has no attention"):
        recommender.explain(session_row(0))


def test_the_warm_up_keeps_to_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_recommender()
    limits = Limits(items=2, filters=1, k=1)
    object.__setattr__(bundle, "manifest", bundle.manifest.model_copy(update={"limits": limits}))
    engine = OneShotEngine(bundle)
    shapes: list[tuple[int, ...]] = []
    predict = engine._predictor.run

    def watched(rows: Sequence[Row], sizes: Sequence[Any]) -> Any:
        shapes.append((len(rows), rows[0]["item_ids"].shape[0], rows[0]["filter_ids"].shape[0], int(rows[0]["k"])))
        return predict(rows, sizes)

    monkeypatch.setattr(engine._predictor, "run", watched)
    engine.start()
    engine.close()
    assert shapes == [(1, 2, 1, 1), (4, 2, 1, 1)]
