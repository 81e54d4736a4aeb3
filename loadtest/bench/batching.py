"""Continuous against static batching: throughput with 64 requests waiting, and waiting time for a first token."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.bench.compare import search_name
from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import to_requests
from loadtest.bench.measure import Spread, cpu_seconds, percentile
from loadtest.bench.policies import POLICIES, STATIC, Continuous, Measured, run_waiting
from loadtest.bench.table import Table
from service.runtime.bundle import Bundle
from service.runtime.decoding import EngineSettings
from service.runtime.requests import Search

WAITING = 64
BEAMS = (1, 4)
LOADS = (0.5, 0.7)
"""Arrivals, as shares of what continuous batching can do."""


@dataclass(frozen=True)
class Throughput:
    """Sentences per CPU-second of one policy, at most `batch` requests running at once."""

    beam: int
    policy: str
    batch: int
    rate: Spread


@dataclass(frozen=True)
class FirstToken:
    """Seconds from arrival to first token: median, 95th and 99th percentile."""

    beam: int
    policy: str
    load: float
    median: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Batching:
    """All that was measured."""

    corpus: str
    throughput: list[Throughput]
    first_token: list[FirstToken]

    def tables(self) -> list[Table]:
        """Throughput, then time to first token."""
        continuous = {t.beam: t.rate for t in self.throughput if t.policy == "continuous"}
        throughput = Table(
            f"Sentences per CPU-second on {self.corpus} with {WAITING} waiting; medians (lowest–highest)",
            ("search", "batching", "at once", "sentences/s", "continuous is faster by"),
            [
                (search_name(t.beam), t.policy, str(t.batch), f"{t.rate.median:,.0f}", _gain(t, continuous))
                for t in self.throughput
            ],
        )
        first = Table(
            "Milliseconds to the first token under Poisson arrivals; load is a share of continuous throughput",
            ("search", "batching", "load", "median", "95 %", "99 %"),
            [
                (
                    search_name(f.beam),
                    f.policy,
                    f"{f.load:.0%}",
                    *(f"{1000 * seconds:,.1f}" for seconds in (f.median, f.p95, f.p99)),
                )
                for f in self.first_token
            ],
        )
        return [throughput, first]


def measure_batching(
    bundle: Bundle, corpus: Corpus, *, repeats: int, report: Callable[[str], None] = lambda _: None
) -> Batching:
    """Measure the policies on the same graphs and requests, taking turns.

    Continuous batching gets the slots that the engine gives itself. Static batches are tried with as many, and with
    one for every request that waits; the latter are those whose first tokens are timed.
    """
    slots = Continuous(bundle, EngineSettings()).slots
    throughput: list[Throughput] = []
    first_token: list[FirstToken] = []
    for beam in BEAMS:
        batches = {"continuous": [slots // beam], **dict.fromkeys(STATIC, sorted({slots // beam, WAITING}))}
        engines = {
            (name, batch): POLICIES[name](bundle, EngineSettings(slots=batch * beam, max_encode_rows=WAITING))
            for name, sizes in batches.items()
            for batch in sizes
        }
        requests = to_measured(engines["continuous", slots // beam], corpus, beam)
        rates: dict[tuple[str, int], list[float]] = {key: [] for key in engines}
        for repeat in range(repeats):
            for (name, batch), engine in engines.items():
                report(f"{search_name(beam)}, {name}, {batch} at once: {repeat + 1} of {repeats}")
                rates[name, batch].append(len(requests) / cpu_seconds(run_waiting, engine, requests, WAITING)[0])
        throughput += [Throughput(beam, *key, Spread(tuple(values))) for key, values in rates.items()]
        capacity = Spread(tuple(rates["continuous", slots // beam])).median
        for load in LOADS:
            report(f"{search_name(beam)}: time to first token at {load:.0%}")
            arrivals = poisson_arrivals(len(requests), load * capacity)
            for name, sizes in batches.items():
                waits = serve(engines[name, sizes[-1]], requests, arrivals, time.thread_time)
                shares = (percentile(waits, share) for share in (0.5, 0.95, 0.99))
                first_token.append(FirstToken(beam, name, load, *shares))
    return Batching(corpus.name, throughput, first_token)


def to_measured(engine: Continuous, corpus: Corpus, beam: int) -> list[Measured]:
    """Requests for a corpus, each with the steps that the engine takes for it."""
    length = engine.bundle.manifest.limits.of("target")
    requests = to_requests(engine.bundle, corpus.sources, Search(beam_size=beam, length_penalty=1.0, max_length=length))
    generations = run_waiting(engine, requests, WAITING)
    return [
        Measured(request.inputs, request.search, steps=generation.steps)
        for request, generation in zip(requests, generations, strict=True)
    ]


def serve(
    engine: Continuous, requests: Sequence[Measured], arrivals: Sequence[float], clock: Callable[[], float]
) -> list[float]:
    """Decode requests as they arrive → seconds from each arrival to its first token.

    Time is what `clock` says that the engine worked; idle time is skipped. With a clock of CPU time, a busy machine
    lengthens nobody's wait.
    """
    now, arrived = 0.0, 0
    waiting: dict[int, int] = {}
    waits = [0.0] * len(arrivals)
    while arrived < len(arrivals) or engine.outstanding:
        if not engine.outstanding:
            now = max(now, arrivals[arrived])
        while arrived < len(arrivals) and arrivals[arrived] <= now:
            waiting[engine.submit(requests[arrived]).number] = arrived
            arrived += 1
        started = clock()
        fresh = engine.turn()
        now += clock() - started
        for ticket in fresh:
            index = waiting.pop(ticket.number)
            waits[index] = now - arrivals[index]
    return waits


def poisson_arrivals(count: int, rate: float, seed: int = 1) -> list[float]:
    """Instants, in seconds, of `count` independent arrivals at `rate` per second."""
    generator = random.Random(seed)  # noqa: S311  # traffic, not secrets
    now, arrivals = 0.0, []
    for _ in range(count):
        now += generator.expovariate(rate)
        arrivals.append(now)
    return arrivals


def _gain(measured: Throughput, continuous: dict[int, Spread]) -> str:
    if measured.policy == "continuous":
        return "–"
    ratio = continuous[measured.beam].over(measured.rate)
    return f"{ratio.median:.2f}× ({ratio.lowest:.2f}–{ratio.highest:.2f})"
