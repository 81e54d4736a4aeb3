"""What one replica can do, how well the simulation foretells it, and how many replicas rates need."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean

from contract.manifest import load_manifest
from loadtest.bench.asked import what_to_ask
from loadtest.bench.batching import poisson_arrivals
from loadtest.bench.client import Exchange, post_all, post_at
from loadtest.bench.corpus import Corpus
from loadtest.bench.figures import Figures
from loadtest.bench.measure import percentile
from loadtest.bench.server import Server
from loadtest.bench.systems import SERVICE, Conditions, route, run_system, write_body
from loadtest.bench.table import Table
from loadtest.capacity import CapacityError, ServiceModel, fit_fixed, plan, simulate

CROWD = 64
"""Connections with which the most that a replica can do is measured."""
LOADS = (0.3, 0.5, 0.7)
"""Random arrivals, as shares of that, on which the simulation is checked."""
_PILOT, _FEWEST, _WARM_UP = 16, 64, 64
_STEPS, _STEP_ROWS = "seqserve_inference_duration_seconds_count", "seqserve_batch_rows_sum"


@dataclass(frozen=True)
class Check:
    """Random arrivals at a rate: seconds that were foretold, and measured."""

    load: float
    rate: float
    foretold: tuple[float, float]
    measured: tuple[float, float]
    """Median and 99th percentile."""


@dataclass(frozen=True)
class Sized:
    """One bundle's replica; `rate` is what it answered at most, requests a second."""

    task: str
    model: str
    rate: float
    service: ServiceModel
    checks: list[Check]

    def replicas(self, rate: float, bound: float) -> int:
        """The fewest that keep to a bound in seconds, none of them busier than the busiest check.

        Up to each check's load, what is foretold counts as many times as the check came out above it.

        Raises:
            CapacityError: no number of replicas keeps to it.
        """
        found = []
        for check in self.checks:
            margin = max(1.0, check.measured[1] / check.foretold[1])
            with suppress(CapacityError):
                fewest = plan(self.service, rate, bound / margin).replicas
                found.append(max(fewest, math.ceil(rate / check.rate)))
        if not found:
            raise CapacityError(f"nothing that was measured keeps to {1000 * bound:g} ms")
        return min(found)


@dataclass(frozen=True)
class Sizing:
    """All that was measured; `rates` are planned for within `bounds`, in milliseconds."""

    sized: list[Sized]
    rates: Sequence[float]
    bounds: Sequence[float]

    def tables(self) -> list[Table]:
        """Replicas, then what they were worked out from, then how well the simulation does."""
        return [self._plan_table(), self._service_table(), self._check_table()]

    def _plan_table(self) -> Table:
        rows = [
            (f"/v1/{each.task}", f"{rate:,g}", *(_replicas(each, rate, bound / 1000) for bound in self.bounds))
            for each in self.sized
            for rate in self.rates
        ]
        columns = ("", "requests/s", *(f"p99 ≤ {bound:g} ms" for bound in self.bounds))
        return Table("Replicas needed (and how busy each is)", columns, rows)

    def _service_table(self) -> Table:
        rows = []
        for each in self.sized:
            service = each.service
            alone = f"{1000 * service.mean:,.2f}", f"{1000 * percentile(service.alone, 0.99):,.2f}"
            shape = f"{service.steps:.1f}", str(service.at_once), f"{service.fixed:.2f}"
            rows.append((f"{each.model} ({each.task})", *alone, *shape, f"{each.rate:,.0f}"))
        columns = (
            "",
            "alone, mean ms",
            "alone, p99 ms",
            "steps",
            "at once",
            "fixed",
            "most",
        )
        return Table(f"One replica; *most* is requests a second at {CROWD} connections", columns, rows)

    def _check_table(self) -> Table:
        rows = [
            (
                each.model,
                f"{check.rate:,.0f} ({check.load:.0%})",
                *(f"{1000 * seconds:,.1f}" for seconds in (*check.foretold, *check.measured)),
                f"{check.foretold[1] / check.measured[1] - 1:+.0%}",
            )
            for each in self.sized
            for check in each.checks
        ]
        columns = ("", "requests/s", "p50 foretold", "p99 foretold", "p50 measured", "p99 measured", "p99 is off by")
        return Table("The simulation beside random arrivals at one replica, milliseconds", columns, rows)


def size(
    bundle: Path,
    corpus: Corpus,
    conditions: Conditions,
    *,
    seconds: float,
    pictures: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Sized:
    """Measure a replica of a bundle `NAME/VERSION/` alone, crowded, and under random arrivals.

    Translations and captions are decoded greedily. A measurement takes about `seconds`.
    """
    task, name = load_manifest(bundle).task, bundle.parent.name
    bodies = [write_body(SERVICE, task, each) for each in what_to_ask(bundle, corpus, pictures)]
    with run_system(SERVICE, bundle, conditions) as server:
        replica = _Replica(server, route(SERVICE, task), bodies, seconds)
        report(f"{name}: alone")
        alone, steps, rows = replica.closed(1)
        report(f"{name}: {CROWD} at once")
        crowd, _, crowd_rows = replica.closed(CROWD)
        rate = len(crowd.replies) / crowd.seconds
        # A batcher's turn takes all that wait; of a decode loop, so many rows take part as it has room for.
        at_once = max(1, round(crowd_rows / rows)) if steps else CROWD
        fixed = fit_fixed(fmean(alone.latencies), rate, at_once)
        service = ServiceModel(tuple(alone.latencies), max(1.0, steps), fixed, at_once)
        checks = []
        for load in LOADS:
            report(f"{name}: {load:.0%} of {rate:,.0f} a second")
            foretold, measured = simulate(service, load * rate), replica.open(load * rate)
            checks.append(Check(load, load * rate, _shares(foretold), _shares(measured)))
    return Sized(task, name, rate, service, checks)


class _Replica:
    """A running service that is asked the same again and again."""

    def __init__(self, server: Server, path: str, bodies: Sequence[bytes], seconds: float) -> None:
        self._server, self._url, self._bodies, self._seconds = server, server.url + path, bodies, seconds
        post_all(self._url, self._take(_WARM_UP), CROWD)

    def closed(self, connections: int) -> tuple[Exchange, float, float]:
        """What came of so many connections; of a model that decodes, steps for each request and mean rows of a step."""
        pilot = post_all(self._url, self._take(_PILOT * connections), connections)
        count = max(_FEWEST, int(self._seconds * len(pilot.replies) / pilot.seconds))
        before = Figures.of(self._server)
        exchange = post_all(self._url, self._take(count), connections)
        after = Figures.of(self._server)
        steps = after.total(_STEPS, graph="step") - before.total(_STEPS, graph="step")
        rows = after.total(_STEP_ROWS, graph="step") - before.total(_STEP_ROWS, graph="step")
        return exchange, steps / count, rows / steps if steps else 1.0

    def open(self, rate: float) -> list[float]:
        """Seconds of requests that come at random, so many a second."""
        count = max(_FEWEST, int(self._seconds * rate))
        return post_at(self._url, self._take(count), poisson_arrivals(count, rate)).latencies

    def _take(self, count: int) -> list[bytes]:
        return list(islice(cycle(self._bodies), count))


def _shares(latencies: Sequence[float]) -> tuple[float, float]:
    return percentile(latencies, 0.5), percentile(latencies, 0.99)


def _replicas(sized: Sized, rate: float, bound: float) -> str:
    try:
        replicas = sized.replicas(rate, bound)
    except CapacityError:
        return "never"
    return f"{replicas:,} ({rate / replicas / sized.rate:.0%})"
