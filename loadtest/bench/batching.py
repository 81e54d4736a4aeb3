"""Continuous against static batching: throughput with 64 requests waiting, and waiting time for a first token."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.bench.compare import search_name
from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import to_requests
from loadtest.bench.measure import Spread, cpu_seconds, percentile
from loadtest.bench.policies import POLICIES, Loop, Policy, Workload
from loadtest.bench.table import Table
from service.runtime.bundle import Bundle
from service.runtime.requests import Search

CONCURRENCY = 64
BEAMS = (1, 4)
LOADS = (0.5, 0.7)
"""Arrivals, as shares of what continuous batching can do."""


@dataclass(frozen=True)
class Throughput:
    """Sentences per CPU-second of one policy."""

    beam: int
    policy: Policy
    rate: Spread


@dataclass(frozen=True)
class FirstToken:
    """Seconds from arrival to first token, at greedy search: median, 95th and 99th percentile."""

    policy: Policy
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
            f"Sentences per CPU-second on {self.corpus}, {CONCURRENCY} at a time; medians (lowest–highest)",
            ("search", "batching", "sentences/s", "continuous is faster by"),
            [(search_name(t.beam), t.policy, f"{t.rate.median:,.0f}", _gain(t, continuous)) for t in self.throughput],
        )
        first = Table(
            "Milliseconds to the first token, greedy, under Poisson arrivals; load is a share of continuous throughput",
            ("batching", "load", "median", "95 %", "99 %"),
            [
                (f.policy, f"{f.load:.0%}", *(f"{1000 * seconds:,.1f}" for seconds in (f.median, f.p95, f.p99)))
                for f in self.first_token
            ],
        )
        return [throughput, first]


def measure_batching(
    bundle: Bundle,
    corpus: Corpus,
    *,
    repeats: int,
    concurrency: int = CONCURRENCY,
    beams: Sequence[int] = BEAMS,
    report: Callable[[str], None] = lambda _: None,
) -> Batching:
    """Measure the three policies on the same graphs and requests, taking turns."""
    throughput: list[Throughput] = []
    first_token: list[FirstToken] = []
    for beam in beams:
        loops = {policy: Loop(bundle, policy, concurrency, beam) for policy in POLICIES}
        search = Search(beam_size=beam, length_penalty=1.0, max_length=bundle.manifest.limits.target)
        requests = to_requests(bundle, corpus.sources, search)
        workload = Workload(requests, drain(loops["continuous"], Workload(requests, [])))
        rates: dict[Policy, list[float]] = {policy: [] for policy in POLICIES}
        for repeat in range(repeats):
            for policy, loop in loops.items():
                report(f"{search_name(beam)}, {policy}: {repeat + 1} of {repeats}")
                rates[policy].append(len(requests) / cpu_seconds(drain, loop, workload)[0])
        throughput += [Throughput(beam, policy, Spread(tuple(values))) for policy, values in rates.items()]
        if beam == 1:
            capacity = Spread(tuple(rates["continuous"])).median
            for load in LOADS:
                report(f"time to first token at {load:.0%}")
                arrivals = poisson_arrivals(len(requests), load * capacity)
                first_token += [_first_token(policy, loop, load, arrivals, workload) for policy, loop in loops.items()]
    return Batching(corpus.name, throughput, first_token)


def drain(loop: Loop, workload: Workload) -> list[int]:
    """Decode everything, all of it waiting from the start → steps of each request."""
    queue = deque(range(len(workload.requests)))
    steps = [0] * len(workload.requests)
    while queue or loop.busy:
        loop.admit(queue, workload)
        for index, taken in loop.step():
            steps[index] = taken
    return steps


def serve(loop: Loop, workload: Workload, arrivals: Sequence[float], clock: Callable[[], float]) -> list[float]:
    """Decode requests as they arrive → seconds from each arrival to its first token.

    Time is what `clock` says that the work took; idle time is skipped. With a clock of CPU time, a busy machine does
    not lengthen anybody's wait.
    """
    now, arrived = 0.0, 0
    queue: deque[int] = deque()
    waits = [0.0] * len(arrivals)
    while arrived < len(arrivals) or queue or loop.busy:
        if not (queue or loop.busy):
            now = max(now, arrivals[arrived])
        while arrived < len(arrivals) and arrivals[arrived] <= now:
            queue.append(arrived)
            arrived += 1
        started = clock()
        newcomers = loop.admit(queue, workload)
        loop.step()
        now += clock() - started
        for index in newcomers:
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


def _first_token(policy: Policy, loop: Loop, load: float, arrivals: list[float], workload: Workload) -> FirstToken:
    waits = serve(loop, workload, arrivals, time.thread_time)
    return FirstToken(policy, load, *(percentile(waits, share) for share in (0.5, 0.95, 0.99)))


def _gain(measured: Throughput, continuous: dict[int, Spread]) -> str:
    if measured.policy == "continuous":
        return "–"
    ratio = continuous[measured.beam].over(measured.rate)
    return f"{ratio.median:.2f}× ({ratio.lowest:.2f}–{ratio.highest:.2f})"
