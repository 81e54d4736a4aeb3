"""`/v1/caption`: where the time of one picture goes, and pictures a second beside the same graphs behind LitServe.

Service, or rival, and load generator share the machine's cores.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loadtest.bench.client import post_all
from loadtest.bench.figures import Figures
from loadtest.bench.measure import Spread, percentile
from loadtest.bench.server import Server
from loadtest.bench.systems import Conditions, run_system
from loadtest.bench.systems import System as Serving
from loadtest.bench.table import Table
from loadtest.pictures import load_pictures, multipart
from service.runtime.bundle import Bundle

CONNECTIONS = 16
_PICTURES, _ALONE, _WARM_UP = 800, 60, 64
_DIFFERENT = 24
"""Pictures, sent again and again."""


@dataclass(frozen=True)
class System:
    """The service, or LitServe, with so many worker processes, each with a batch and a copy of the model of its own.

    `encode_rows` pictures go through LitServe's encoder at a time; None is the service, which finds out by itself.
    """

    workers: int
    encode_rows: int | None = None

    @property
    def name(self) -> str:
        """How tables call it."""
        workers = f"{self.workers} worker" + ("s" if self.workers > 1 else "")
        if self.encode_rows is None:
            return f"seqserve, {workers}"
        return f"LitServe, {workers}, encoding {self.encode_rows} at a time"


SYSTEMS = (System(1), System(2), System(1, 1), System(1, 4), System(2, 1), System(2, 4))


@dataclass(frozen=True)
class Alone:
    """Seconds of one picture at a time, greedy, from the request's first byte to the reply's last: medians of runs."""

    total: Spread
    decode: Spread
    encode: Spread
    steps: Spread
    count: float
    """Steps a picture."""


@dataclass(frozen=True)
class Served:
    """Of one system: pictures a second on the clock, seconds of a request, CPU seconds of its processes a picture."""

    system: System
    rate: Spread
    p50: Spread
    p99: Spread
    cpu: Spread


@dataclass(frozen=True)
class Captions:
    """All that was measured."""

    model: str
    precision: str
    pictures: int
    kilobytes: float
    alone: Alone
    served: list[Served]

    def tables(self) -> list[Table]:
        """Where the time goes, then the systems."""
        return [self._alone_table(), self._served_table()]

    def _alone_table(self) -> Table:
        alone = self.alone
        parts = alone.decode, alone.encode, alone.steps
        rest = alone.total.median - sum(part.median for part in parts)
        names = ("decode and resize", "encode", f"{alone.count:.1f} steps")
        rows = [(name, _milliseconds(part.median)) for name, part in zip(names, parts, strict=True)]
        return Table(
            f"Milliseconds of /v1/caption on {self.model} ({self.precision}), one JPEG of 640 × 480 "
            f"({self.kilobytes:.0f} kB) at a time, greedy; medians of {len(alone.total.values)} runs",
            ("", "ms"),
            [*rows, ("everything else", _milliseconds(rest)), ("end to end", _milliseconds(alone.total.median))],
        )

    def _served_table(self) -> Table:
        ours = {each.system.workers: each.rate for each in self.served if each.system.encode_rows is None}
        repeats = len(self.served[0].rate.values)
        rows = []
        for each in self.served:
            system, times = each.system, (each.p50, each.p99, each.cpu)
            rival = system.encode_rows is not None and system.workers in ours
            gain = _gain(ours[system.workers].over(each.rate)) if rival else "–"
            rows.append((system.name, f"{each.rate.median:,.0f}", *(_milliseconds(t.median) for t in times), gain))
        return Table(
            f"The same pictures at {CONNECTIONS} connections, greedy; medians of {repeats} × {self.pictures} requests, "
            "taking turns; latencies in milliseconds",
            ("", "pictures/s", "p50", "p99", "CPU a picture", "seqserve with as many workers is faster by"),
            rows,
        )


def measure_captions(
    bundle: Bundle,
    *,
    repeats: int,
    pictures: int = _PICTURES,
    folder: Path | None = None,
    systems: Sequence[System] = SYSTEMS,
    report: Callable[[str], None] = lambda _: None,
) -> Captions:
    """Measure every system, taking turns; the service with one worker first. No reply may be anything but 200.

    Args:
        bundle: a captioner's.
        repeats: of everything.
        pictures: requests of one run.
        folder: of pictures to send; else made-up ones.
        systems: what is compared, among them the service with one worker.
        report: is told what is going on.
    """
    sent = load_pictures(min(_DIFFERENT, pictures), folder)
    chosen = random.Random(1).choices(sent, k=pictures)  # noqa: S311  # traffic, not secrets
    alone: list[tuple[float, ...]] = []
    runs: dict[System, list[tuple[float, ...]]] = {system: [] for system in systems}
    for repeat in range(repeats):
        for system in systems:
            report(f"{system.name}: {repeat + 1} of {repeats}")
            with _run(bundle, system) as server:
                route = "/v1/caption" if system.encode_rows is None else "/predict"
                _post(server, route, sent[:1] * _WARM_UP, CONNECTIONS)
                runs[system].append(_together(server, route, chosen))
                if system == System(1):
                    alone.append(_one_by_one(server, chosen[: min(_ALONE, pictures)]))
    total, decode, encode, steps, count = [Spread(values) for values in zip(*alone, strict=True)]
    served = [Served(system, *(Spread(values) for values in zip(*each, strict=True))) for system, each in runs.items()]
    return Captions(
        model=bundle.manifest.name,
        precision=bundle.variant.precision,
        pictures=pictures,
        kilobytes=sum(map(len, sent)) / len(sent) / 1000,
        alone=Alone(total, decode, encode, steps, count.median),
        served=served,
    )


@contextmanager
def _run(bundle: Bundle, system: System) -> Iterator[Server]:
    framework: Literal["seqserve", "lit"] = "seqserve" if system.encode_rows is None else "lit"
    conditions = Conditions(workers=system.workers, encode_rows=system.encode_rows or 1)
    with run_system(Serving(system.name, framework), bundle.folder, conditions) as server:
        yield server


def _together(server: Server, route: str, pictures: list[bytes]) -> tuple[float, ...]:
    """Pictures a second, median and 99th percentile of a request's seconds, CPU seconds a picture."""
    before = server.cpu_seconds()
    seconds, latencies = _post(server, route, pictures, CONNECTIONS)
    cpu = (server.cpu_seconds() - before) / len(pictures)
    return len(pictures) / seconds, percentile(latencies, 0.5), percentile(latencies, 0.99), cpu


def _one_by_one(server: Server, pictures: list[bytes]) -> tuple[float, ...]:
    """Median seconds of a request; of these the mean seconds of decoding, encoding and stepping, and the steps."""
    before = Figures.of(server)
    _, latencies = _post(server, "/v1/caption", pictures, 1)
    after = Figures.of(server)

    def mean(name: str, **labels: str) -> float:
        return (after.total(name, **labels) - before.total(name, **labels)) / len(pictures)

    return (
        percentile(latencies, 0.5),
        mean("seqserve_preprocess_duration_seconds_sum", task="caption"),
        mean("seqserve_inference_duration_seconds_sum", graph="encode"),
        mean("seqserve_inference_duration_seconds_sum", graph="step"),
        mean("seqserve_inference_duration_seconds_count", graph="step"),
    )


def _post(server: Server, route: str, pictures: list[bytes], connections: int) -> tuple[float, list[float]]:
    forms = [multipart("image", [picture], beam_size=1) for picture in pictures]
    exchange = post_all(server.url + route, [body for _, body in forms], connections, content_type=forms[0][0])
    return exchange.seconds, exchange.latencies


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f}"


def _gain(ratio: Spread) -> str:
    return f"{ratio.median:.2f}× ({ratio.lowest:.2f}–{ratio.highest:.2f})"
