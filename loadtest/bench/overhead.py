"""`/v1/translate` against the engine in-process: what HTTP costs, at 64 connections and 64 waiting requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.bench.client import post_all
from loadtest.bench.compare import search_name
from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import run_closed_loop, start_engine, to_requests
from loadtest.bench.measure import Spread, cpu_seconds
from loadtest.bench.server import Server, run_service
from loadtest.bench.table import Table
from service.runtime.bundle import Bundle
from service.runtime.requests import Search

CONNECTIONS = 64
BEAMS = (1, 4)
_WARM_UP = 128


@dataclass(frozen=True)
class Rates:
    """Sentences per second on the clock, and per CPU-second of the processes that do the work."""

    wall: Spread
    cpu: Spread


@dataclass(frozen=True)
class Point:
    """One search, with and without HTTP."""

    beam: int
    in_process: Rates
    http: Rates


@dataclass(frozen=True)
class Overhead:
    """All that was measured."""

    corpus: str
    points: list[Point]

    def tables(self) -> list[Table]:
        """Throughput by both clocks."""
        return [
            Table(
                f"Sentences per second on {self.corpus}, {CONNECTIONS} at a time, one sentence a request; medians",
                ("search", "clock", "in-process", "through HTTP", "share (lowest–highest)"),
                [
                    row
                    for point in self.points
                    for row in (
                        _row(point.beam, "wall", point.in_process.wall, point.http.wall),
                        _row(point.beam, "CPU", point.in_process.cpu, point.http.cpu),
                    )
                ],
            )
        ]


def measure_overhead(
    bundle: Bundle, corpus: Corpus, *, repeats: int, report: Callable[[str], None] = lambda _: None
) -> Overhead:
    """Measure the engine from token ids to token ids, and the service on the same bundle from text to text.

    Both compute on one thread. The service reads and writes HTTP beside it, on another core where there is one; the
    client runs in this process, and its CPU time is nobody's.
    """
    engine = start_engine(bundle)
    points = []
    with run_service([bundle.folder.parent], "--threads", "1") as server:
        for beam in BEAMS:
            search = Search(beam_size=beam, length_penalty=1.0, max_length=bundle.manifest.limits.of("target"))
            requests = to_requests(bundle, corpus.sources, search)
            bodies = translate_bodies(bundle.manifest.name, corpus.sources, beam_size=beam)
            _through_http(server, bodies[:_WARM_UP])
            pairs = []
            for repeat in range(repeats):
                report(f"{search_name(beam)}: {repeat + 1} of {repeats}")
                started = time.perf_counter()
                cpu, _ = cpu_seconds(run_closed_loop, engine, requests, CONNECTIONS)
                wall = time.perf_counter() - started
                pairs.append((wall, cpu, *_through_http(server, bodies)))
            rates = [Spread(tuple(len(requests) / value for value in values)) for values in zip(*pairs, strict=True)]
            points.append(Point(beam, Rates(rates[0], rates[1]), Rates(rates[2], rates[3])))
    engine.close()
    return Overhead(corpus.name, points)


def translate_bodies(model: str, texts: list[str], **options: int) -> list[bytes]:
    """One `/v1/translate` body a text."""
    return [json.dumps({"model": model, "text": text, **options}).encode() for text in texts]


def _through_http(server: Server, bodies: list[bytes]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of the server's processes."""
    before = server.cpu_seconds()
    exchange = post_all(f"{server.url}/v1/translate", bodies, CONNECTIONS)
    return exchange.seconds, server.cpu_seconds() - before


def _row(beam: int, clock: str, in_process: Spread, through_http: Spread) -> tuple[str, ...]:
    share = through_http.over(in_process)
    return (
        search_name(beam),
        clock,
        f"{in_process.median:,.0f}",
        f"{through_http.median:,.0f}",
        f"{share.median:.0%} ({share.lowest:.0%}–{share.highest:.0%})",
    )
