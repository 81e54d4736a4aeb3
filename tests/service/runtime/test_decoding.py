"""The engine on real graphs and a real thread: every request gets its own text, or a clear refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.inputs import image_row, prompt_row, text_row
from service.runtime import decoding
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.decoding import DecodingEngine, EngineSettings
from service.runtime.errors import (
    BeamTooWideError,
    DeadlineExceededError,
    EngineFailedError,
    InputTooLongError,
    NoAttentionError,
    QueueFullError,
    ShuttingDownError,
    TooManyCandidatesError,
)
from service.runtime.pace import Pace
from service.runtime.requests import GenerateRequest, Observer, Sampling, Search
from tests.service.runtime.asking import make_request, reads_pictures, reads_prompts

BUNDLES = Path(__file__).parents[2] / "data" / "bundles" / "v1"
TRIED = ("tiny-en-de", "tiny-en-de-gru", "tiny-captions", "tiny-tunes", "tiny-complete-image", "tiny-upscale")


@pytest.fixture(scope="module", params=TRIED)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_bundle(BUNDLES / request.param, precision="int8", provider="cpu")


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Iterator[DecodingEngine]:
    engine = DecodingEngine(bundle, EngineSettings(slots=16))
    engine.start()
    yield engine
    engine.close(drain=False)


def alone(engine: DecodingEngine, request: GenerateRequest) -> list[list[int]]:
    return [hypothesis.token_ids for hypothesis in engine.submit(request).future.result(30).hypotheses]


def test_200_requests_at_once_give_the_texts_of_one_at_a_time(engine: DecodingEngine) -> None:
    requests = [
        make_request(engine.bundle, seed, beam_size=1 + 3 * (seed % 2), max_length=5 + seed % 30) for seed in range(200)
    ]
    expected = [alone(engine, request) for request in requests]
    tickets = [engine.submit(request) for request in requests]
    found = [[h.token_ids for h in ticket.future.result(60).hypotheses] for ticket in tickets]
    assert found == expected


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_arrivals_cancellations_and_deadlines_disturb_nobody(
    engine: DecodingEngine, data: st.DataObject
) -> None:
    seeds = data.draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=25))
    tickets = []
    for seed in seeds:
        fate = data.draw(st.sampled_from(["runs", "runs", "cancelled", "expired"]))
        beam_size = data.draw(st.sampled_from([1, 2, 4]))
        deadline = time.monotonic() - 1 if fate == "expired" else None
        request = make_request(engine.bundle, seed, beam_size=beam_size, deadline=deadline)
        ticket = engine.submit(request)
        if fate == "cancelled":
            ticket.cancel()
        tickets.append((fate, request, ticket))
        if data.draw(st.booleans()):
            time.sleep(0.002)
    wait([ticket.future for _, _, ticket in tickets], 60)
    for fate, request, ticket in tickets:
        if fate == "cancelled":
            # It may have been done before it was cancelled; then its result is as good as any.
            assert ticket.future.cancelled() or ticket.future.result().hypotheses
        elif fate == "expired":
            assert isinstance(ticket.future.exception(), DeadlineExceededError)
        else:
            assert [h.token_ids for h in ticket.future.result().hypotheses] == alone(engine, request)
    # A cancelled request's future is done at once, its place is cleared by the loop's next turn.
    patience = time.monotonic() + 10
    while (engine.queue_depth or engine.running_rows) and time.monotonic() < patience:
        time.sleep(0.001)
    assert (engine.queue_depth, engine.running_rows) == (0, 0)


def test_what_cannot_run_is_refused_at_once(engine: DecodingEngine) -> None:
    if reads_pictures(engine.bundle):
        with pytest.raises(ValueError, match=r"'pixels' has sizes \(5, 5, 3\) in a row"):
            engine.submit(GenerateRequest(image_row(np.zeros((5, 5, 3), np.uint8))))
    else:
        axis = "target" if reads_prompts(engine.bundle) else "source"
        limit = engine.bundle.manifest.limits.of(axis)
        row = prompt_row([5] * (limit + 2)) if reads_prompts(engine.bundle) else text_row([5] * (limit + 1))
        with pytest.raises(InputTooLongError, match=f"{limit + 1} along '{axis}', at most {limit}"):
            engine.submit(GenerateRequest(row))
    with pytest.raises(BeamTooWideError, match="ask for 16 at most"):
        engine.submit(make_request(engine.bundle, 0, beam_size=17))


def test_what_would_run_out_of_the_slots_memory_is_refused_at_once(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_MOST_CANDIDATES", 12)
    engine = DecodingEngine(bundle, EngineSettings(slots=4))
    with pytest.raises(TooManyCandidatesError, match=r"the 13 best tokens are more .* a top_k of 12 at most"):
        engine.submit(make_request(bundle, 0, sampling=Sampling(top_k=13)))
    limit = bundle.manifest.limits.of("target")
    with pytest.raises(InputTooLongError, match=f"{limit + 1} along 'target', at most {limit}"):
        engine.submit(replace(make_request(bundle, 0), start=limit))
    engine.submit(make_request(bundle, 0, sampling=Sampling(top_k=12))).cancel()
    engine.submit(replace(make_request(bundle, 0), start=limit - 1)).cancel()
    engine.close(drain=False)


def test_a_seed_draws_the_same_text_in_any_company_to_the_last_bit(engine: DecodingEngine) -> None:
    samplings = [
        Sampling(seed=seed, temperature=0.5 + seed % 3, top_k=1 + 7 * seed, top_p=1 - seed / 20) for seed in range(12)
    ]
    requests = [make_request(engine.bundle, seed, sampling=each) for seed, each in enumerate(samplings)]
    expected = [engine.submit(request).future.result(30).hypotheses for request in requests]
    others = [make_request(engine.bundle, seed, beam_size=1 + seed % 4, max_length=1 + seed) for seed in range(12)]
    for order in (slice(None), slice(None, None, -1)):
        tickets = []
        for request, other in list(zip(requests, others, strict=True))[order]:
            tickets.append(engine.submit(request))
            engine.submit(other)
        assert [ticket.future.result(60).hypotheses for ticket in tickets] == expected[order]
    again = [replace(requests[-1], search=replace(requests[-1].search, sampling=each)) for each in samplings]
    assert len({tuple(alone(engine, request)[0]) for request in again}) > 1


def test_a_beam_as_wide_as_the_slots_runs(engine: DecodingEngine) -> None:
    result = engine.submit(make_request(engine.bundle, 1, beam_size=16, alternatives=16)).future.result(30)
    assert len(result.hypotheses) == 16
    scores = [hypothesis.score for hypothesis in result.hypotheses]
    assert scores == sorted(scores, reverse=True)


def test_streamed_ids_are_the_result(engine: DecodingEngine) -> None:
    for beam_size in (1, 4):
        request = make_request(engine.bundle, 5, beam_size=beam_size)
        pieces: list[int] = []
        streaming = replace(request, on_tokens=pieces.extend)
        assert engine.submit(streaming).future.result(30).hypotheses[0].token_ids == pieces


def test_a_listener_that_fails_fails_alone(engine: DecodingEngine) -> None:
    def listen(_: list[int]) -> None:
        raise RuntimeError("no ears")

    request = make_request(engine.bundle, 5)
    deaf = engine.submit(replace(request, on_tokens=listen))
    others = [engine.submit(make_request(engine.bundle, seed)) for seed in range(3)]
    with pytest.raises(EngineFailedError, match="no ears"):
        deaf.future.result(30)
    assert all(ticket.future.result(30).hypotheses for ticket in others)
    assert alone(engine, request)


def test_the_length_limit_cuts_off(engine: DecodingEngine) -> None:
    result = engine.submit(make_request(engine.bundle, 2, max_length=1)).future.result(30)
    assert len(result.hypotheses[0].token_ids) <= 1
    assert result.steps == 1


def test_times_add_up(engine: DecodingEngine) -> None:
    result = engine.submit(make_request(engine.bundle, 3)).future.result(30)
    assert 0 <= result.queue_seconds <= result.first_token_seconds <= result.total_seconds


def test_a_full_queue_refuses_and_a_closing_engine_finishes_what_it_accepted(bundle: Bundle) -> None:
    engine = DecodingEngine(bundle, EngineSettings(slots=4, max_queue=3))
    tickets = [engine.submit(make_request(bundle, seed)) for seed in range(3)]
    with pytest.raises(QueueFullError, match="retry later"):
        engine.submit(make_request(bundle, 3))
    for ticket in tickets:
        ticket.cancel()
    engine.start()
    accepted = [engine.submit(make_request(bundle, seed)) for seed in range(3)]
    assert engine.alive
    engine.close(drain=True)
    assert not engine.alive
    assert all(ticket.future.result(0).hypotheses for ticket in accepted)
    with pytest.raises(ShuttingDownError):
        engine.submit(make_request(bundle, 0))


def test_closing_without_draining_drops_what_is_left(bundle: Bundle) -> None:
    engine = DecodingEngine(bundle, EngineSettings(slots=4))
    engine.start()
    tickets = [engine.submit(make_request(bundle, seed, max_length=60)) for seed in range(40)]
    engine.close(drain=False)
    for ticket in tickets:
        assert ticket.future.done()
        try:
            assert ticket.future.result().hypotheses
        except CancelledError:
            continue


def test_one_bad_input_fails_alone(engine: DecodingEngine) -> None:
    if reads_pictures(engine.bundle):
        pytest.skip("no picture of the right size and type is bad")
    good = [make_request(engine.bundle, seed) for seed in range(6)]
    expected = [alone(engine, request) for request in good]
    outside = engine.bundle.manifest.vocabulary_size + 100
    row = prompt_row([outside, 3]) if reads_prompts(engine.bundle) else text_row([outside, 3])
    bad = GenerateRequest(row, Search(max_length=5))
    tickets = [engine.submit(request) for request in (*good[:3], bad, *good[3:])]
    failed = tickets.pop(3)
    with pytest.raises(EngineFailedError, match="encode failed"):
        failed.future.result(30)
    assert [[h.token_ids for h in ticket.future.result(30).hypotheses] for ticket in tickets] == expected


def test_attention_of_known_targets_sums_to_one_over_the_source(engine: DecodingEngine) -> None:
    request = make_request(engine.bundle, 4)
    if not engine.bundle.signature.explains:
        with pytest.raises(NoAttentionError, match="has no attention"):
            engine.explain(request.inputs, [[5]])
        return
    weights = engine.explain(request.inputs, [[5, 6, 7], [8]])
    rows, columns = engine.bundle.manifest.image.grid if reads_pictures(engine.bundle) else (1, None)
    assert weights.shape == (2, 4, rows * (columns or len(request.inputs["source_ids"])))
    np.testing.assert_allclose(weights[0].sum(axis=-1), 1, atol=1e-4)
    np.testing.assert_allclose(weights[1, :2].sum(axis=-1), 1, atol=1e-4)


class Journal(Observer):
    """Rows, cost and padding of each batch that is encoded, and None for each step."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, float] | None] = []

    def encoded(self, rows: int, cost: int, padding: float, seconds: float) -> None:
        self.events.append((rows, cost, padding))

    def stepped(self, rows: int, seconds: float) -> None:
        self.events.append(None)

    def rows_between_steps(self) -> list[int]:
        """Rows that were encoded before each step."""
        found = [0]
        for event in self.events:
            if event is None:
                found.append(0)
            else:
                found[-1] += event[0]
        return found


def test_what_is_encoded_is_counted_in_tokens_or_pictures(bundle: Bundle) -> None:
    journal = Journal()
    requests = [make_request(bundle, seed) for seed in range(4)]
    engine = DecodingEngine(bundle, EngineSettings(slots=4), journal)
    tickets = [engine.submit(request) for request in requests]
    engine.start()
    wait([ticket.future for ticket in tickets], 30)
    engine.close()
    if reads_pictures(bundle):
        assert journal.events[0] == (4, 4, 0.0)
    else:
        ids = "prompt_ids" if reads_prompts(bundle) else "source_ids"
        lengths = [len(request.inputs[ids]) for request in requests]
        cost = 4 * max(lengths)
        assert journal.events[0] == (4, cost, pytest.approx(1 - sum(lengths) / cost))


def test_no_more_newcomers_are_encoded_between_two_steps_than_those_who_run_can_spare(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "rows", property(lambda _: 3))
    journal = Journal()
    engine = DecodingEngine(bundle, EngineSettings(slots=16, encode_rows=2), journal)
    requests = [make_request(bundle, seed) for seed in range(16)]
    tickets = [engine.submit(request) for request in requests]
    engine.start()
    found = [[h.token_ids for h in ticket.future.result(30).hypotheses] for ticket in tickets]
    assert journal.events[0] is not None
    assert max(journal.rows_between_steps()) == 3
    assert max(event[0] for event in journal.events if event) == 2
    assert found == [alone(engine, request) for request in requests]
    engine.close()
