"""`/v1/classify` and `/v1/recommend` at 64 connections, beside the same graphs behind other servers.

Service, or rival, and load generator share the machine's cores.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from contract.items import Catalogue
from contract.preprocessing import ItemPreprocessing, LabelPreprocessing
from loadtest.bench.client import post_all
from loadtest.bench.corpus import Corpus
from loadtest.bench.figures import Figures
from loadtest.bench.measure import Spread, percentile
from loadtest.bench.rivals.plain import BUNDLE_VARIABLE
from loadtest.bench.server import ROOT, Server, run_server, run_service
from loadtest.bench.table import Table
from service.runtime.bundle import Bundle

CONNECTIONS = 64
SERVICE, BARE, LITSERVE, BENTOML = "seqserve", "bare Starlette", "LitServe, batching", "BentoML, batchable"
SYSTEMS = (SERVICE, BARE, LITSERVE, BENTOML)
_REQUESTS, _WARM_UP = 4000, 640
_MEAN_SESSION, _LONGEST_SESSION = 4.6, 50
_PERCENTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Served:
    """One system on one model: requests per second, and seconds of a request at `_PERCENTILES`, run by run.

    `batch` is the mean number of rows in a run of the graph, where the system tells.
    """

    system: str
    rate: Spread
    p50: Spread
    p90: Spread
    p99: Spread
    batch: float | None


@dataclass(frozen=True)
class Route:
    """All systems on one model."""

    route: str
    model: str
    precision: str
    served: list[Served]


@dataclass(frozen=True)
class OneShot:
    """All that was measured."""

    requests: int
    routes: list[Route]

    def tables(self) -> list[Table]:
        """One table a route."""
        return [_table(route, self.requests) for route in self.routes]


def measure_oneshot(
    bundles: Sequence[Bundle],
    corpus: Corpus,
    *,
    repeats: int,
    requests: int = _REQUESTS,
    report: Callable[[str], None] = lambda _: None,
) -> OneShot:
    """Measure every system on every bundle, a classifier's or a recommender's. No reply may be anything but 200."""
    return OneShot(requests, [_measure_route(bundle, corpus, repeats, requests, report) for bundle in bundles])


def random_sessions(catalogue: Catalogue, count: int, seed: int = 1) -> list[list[Any]]:
    """Sessions as long as those of a web shop: geometric, 4.6 items on average, 50 at most."""
    generator = random.Random(seed)  # noqa: S311  # traffic, not secrets
    ends = math.log(1 + 1 / (_MEAN_SESSION - 1))
    lengths = (1 + int(generator.expovariate(ends)) for _ in range(count))
    return [generator.choices(catalogue.ids, k=min(length, _LONGEST_SESSION)) for length in lengths]


def _measure_route(bundle: Bundle, corpus: Corpus, repeats: int, requests: int, report: Callable[[str], None]) -> Route:
    manifest = bundle.manifest
    asked = _asked(bundle, corpus, requests)
    field = "text" if manifest.task == "classify" else "session"
    served = []
    for system in SYSTEMS:
        report(f"{manifest.name}: {system}")
        bodies = [_body(system, field, each) for each in asked]
        with _run(system, bundle) as server:
            path = f"/v1/{manifest.task}" if system == SERVICE else "/predict"
            post_all(server.url + path, bodies[:_WARM_UP], CONNECTIONS)
            before = _batches(system, server)
            runs = []
            for repeat in range(repeats):
                report(f"{manifest.name}: {system}, {repeat + 1} of {repeats}")
                exchange = post_all(server.url + path, bodies, CONNECTIONS)
                runs.append(
                    (len(bodies) / exchange.seconds, *(percentile(exchange.latencies, share) for share in _PERCENTILES))
                )
            after = _batches(system, server)
        batch = (after[1] - before[1]) / (after[0] - before[0]) if after and before else None
        if system == BARE:
            batch = 1.0
        rate, p50, p90, p99 = [Spread(values) for values in zip(*runs, strict=True)]
        served.append(Served(system, rate, p50, p90, p99, batch))
    return Route(f"/v1/{manifest.task}", manifest.name, bundle.variant.precision, served)


def _asked(bundle: Bundle, corpus: Corpus, count: int) -> list[Any]:
    preprocessing = bundle.manifest.preprocessing
    if isinstance(preprocessing, LabelPreprocessing):
        return [corpus.sources[index % len(corpus.sources)] for index in range(count)]
    assert isinstance(preprocessing, ItemPreprocessing), f"{bundle.folder} neither classifies nor recommends"
    return random_sessions(Catalogue.load(bundle.folder / preprocessing.catalogue), count)


def _body(system: str, field: str, asked: Any) -> bytes:
    content = {field: asked} if system == SERVICE else {"asked": [asked] if system == BENTOML else asked}
    return json.dumps(content).encode()


@contextmanager
def _run(system: str, bundle: Bundle) -> Iterator[Server]:
    folder = str(bundle.folder.resolve())
    if system == SERVICE:
        with run_service([bundle.folder.parent]) as server:
            yield server
        return
    variables = {}
    command = ["-m", f"loadtest.bench.rivals.{'bare' if system == BARE else 'lit'}", folder]
    if system == BENTOML:
        command = ["-m", "bentoml", "serve", "loadtest.bench.rivals.bento:Batched", "--working-dir", str(ROOT)]
        command += ["--host", "127.0.0.1"]
        variables = {BUNDLE_VARIABLE: folder}
    with run_server(command, variables) as server:
        yield server


def _batches(system: str, server: Server) -> tuple[float, float] | None:
    """Batches and rows so far, where the system counts them."""
    if system == SERVICE:
        figures = Figures.of(server)
        return figures.total("seqserve_batch_rows_count"), figures.total("seqserve_batch_rows_sum")
    if system == BENTOML:
        asked = Request(f"{server.url}/batches", b"{}", {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(asked) as reply:  # noqa: S310  # our own server
            batches, rows = json.load(reply)
        return batches, rows
    return None


def _table(route: Route, requests: int) -> Table:
    ceiling = next(served.rate for served in route.served if served.system == BARE)
    rows = [
        (
            served.system,
            f"{served.rate.median:,.0f}",
            f"{served.rate.median / ceiling.median:.0%}",
            *(f"{1000 * spread.median:,.1f}" for spread in (served.p50, served.p90, served.p99)),
            f"{served.p99.median / served.p50.median:.1f}×",
            "–" if served.batch is None else f"{served.batch:.1f}",
        )
        for served in route.served
    ]
    repeats = len(ceiling.values)
    caption = (
        f"{route.route} on {route.model} ({route.precision}), {CONNECTIONS} connections, "
        f"medians of {repeats} × {requests:,} requests; latencies in milliseconds"
    )
    return Table(caption, ("", "requests/s", "of the ceiling", "p50", "p90", "p99", "p99 / p50", "mean batch"), rows)
