"""Cold start to `/readyz` and resident memory of the service, above an empty BentoML service in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.measure import Spread
from loadtest.bench.server import ROOT, Server, run_server, run_service
from loadtest.bench.table import Table

_EMPTY = ["-m", "bentoml", "serve", "loadtest.bench.empty:Empty", "--working-dir", str(ROOT), "--host", "127.0.0.1"]
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Start:
    """Of one service: seconds to the first 200 of `/readyz`, CPU seconds spent by then, and resident bytes then."""

    seconds: Spread
    cpu_seconds: Spread
    resident_bytes: Spread


@dataclass(frozen=True)
class Startup:
    """All that was measured; `bundles` are the names served."""

    bundles: list[str]
    service: Start
    empty: Start

    def tables(self) -> list[Table]:
        """One row a service, and the difference."""
        rows = [
            _row(f"service with {', '.join(self.bundles)}", self.service),
            _row("empty BentoML service", self.empty),
        ]
        above = (
            f"{self.service.seconds.median - self.empty.seconds.median:.2f} s",
            f"{self.service.cpu_seconds.median - self.empty.cpu_seconds.median:.2f} s",
            f"{(self.service.resident_bytes.median - self.empty.resident_bytes.median) / _MEGABYTE:.0f} MB",
        )
        return [
            Table(
                f"Medians of {len(self.service.seconds.values)} starts, taking turns",
                ("", "to /readyz", "CPU until then", "resident"),
                [*rows, ("above the empty one", *above)],
            )
        ]


def measure_startup(
    bundles: Sequence[Path], *, repeats: int, report: Callable[[str], None] = lambda _: None
) -> Startup:
    """Start both services `repeats` times, taking turns."""
    service: list[tuple[float, float, float]] = []
    empty: list[tuple[float, float, float]] = []
    for repeat in range(repeats):
        report(f"start {repeat + 1} of {repeats}")
        with run_service(bundles) as server:
            service.append(_look(server))
        with run_server(_EMPTY) as server:
            empty.append(_look(server))
    return Startup([bundle.name for bundle in bundles], _start(service), _start(empty))


def _look(server: Server) -> tuple[float, float, float]:
    return server.ready_seconds, server.cpu_seconds(), server.resident_bytes()


def _start(looks: list[tuple[float, float, float]]) -> Start:
    return Start(*(Spread(values) for values in zip(*looks, strict=True)))


def _row(name: str, start: Start) -> tuple[str, ...]:
    seconds, cpu, resident = start.seconds.median, start.cpu_seconds.median, start.resident_bytes.median
    return name, f"{seconds:.2f} s", f"{cpu:.2f} s", f"{resident / _MEGABYTE:.0f} MB"
