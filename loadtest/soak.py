"""Mixed load for a long time: memory stays, nothing fails on the server's side, and its counters add up."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import BaseModel

from loadtest.bench.figures import Figures
from loadtest.bench.server import Server
from loadtest.report import Report
from loadtest.run import run_locust
from loadtest.traffic.mix import ASKERS

MOST_GROWTH = 0.05
_SECONDS, _AROUND = 1.0, 0.02
"""Between looks at the memory; the share of the run over which a look is smoothed."""
_BASELINE_SECONDS, _BASELINE_SHARE = 120.0, 0.2
"""The memory that growth is counted from is that of minute two; of short runs, that of a fifth of their time."""
_COUNTER = "seqserve_request_duration_seconds_count"


class Look(BaseModel):
    """Resident memory of all processes of the service, seconds after the run began."""

    seconds: float
    resident_bytes: int


class Soaked(BaseModel):
    """What was seen; `counted` and `sent` are requests by task, by the service's counters and by ours."""

    seconds: float
    baseline_bytes: float
    end_bytes: float
    counted: dict[str, int]
    sent: dict[str, int]
    server_errors: int
    kept_thresholds: bool
    memory: list[Look]

    @property
    def growth(self) -> float:
        """Of the memory, as a share of what it was."""
        return self.end_bytes / self.baseline_bytes - 1

    def faults(self) -> list[str]:
        """What was broken, one sentence each."""
        faults = []
        if self.growth > MOST_GROWTH:
            faults.append(
                f"memory grew by {self.growth:.1%} after {baseline_at(self.seconds):.0f} s, limit {MOST_GROWTH:.0%}"
            )
        if self.server_errors:
            faults.append(f"{self.server_errors} replies were of the 5xx kind")
        for task in sorted(self.sent.keys() | self.counted.keys()):
            sent, counted = self.sent.get(task, 0), self.counted.get(task, 0)
            if sent != counted:
                faults.append(f"{task}: {sent} requests were sent, the service counted {counted}")
        return faults if self.kept_thresholds else [*faults, "thresholds were broken, as told above"]


def soak(server: Server, seconds: float, options: Sequence[str]) -> Soaked | None:
    """Load a service that nobody else talks to; None where the run could not begin."""
    before = Figures.of(server)
    with _watch(server) as looks:
        finished = run_locust(server.url, "soak", ["--load-shape", "soak", "--duration", f"{seconds:g}s", *options])
    if finished.report is None:
        return None
    return summarise(seconds, looks, before, Figures.of(server), finished.report, kept=finished.passed)


def summarise(
    seconds: float, looks: list[Look], before: Figures, after: Figures, report: Report, *, kept: bool
) -> Soaked:
    """What was seen of a run, by its report, the service's metrics before and after, and its memory meanwhile."""
    counted = {task: int(after.total(_COUNTER, task=task) - before.total(_COUNTER, task=task)) for task in ASKERS}
    return Soaked(
        seconds=seconds,
        baseline_bytes=_around(looks, baseline_at(seconds), _AROUND * seconds),
        end_bytes=_around(looks, looks[-1].seconds, _AROUND * seconds),
        counted={task: count for task, count in counted.items() if count},
        sent={task: count for task in ASKERS if (count := report.counts(task))},
        server_errors=report.errors(),
        kept_thresholds=kept,
        memory=looks,
    )


def baseline_at(seconds: float) -> float:
    """When the memory is looked at that growth is counted from."""
    return min(_BASELINE_SECONDS, _BASELINE_SHARE * seconds)


def _around(looks: Sequence[Look], instant: float, width: float) -> float:
    """The median of looks about an instant, or the nearest one."""
    near = [look.resident_bytes for look in looks if abs(look.seconds - instant) <= width]
    return statistics.median(near or [min(looks, key=lambda look: abs(look.seconds - instant)).resident_bytes])


@contextmanager
def _watch(server: Server) -> Iterator[list[Look]]:
    """Look at a server's memory once a second while the block runs."""
    looks: list[Look] = []
    over = threading.Event()
    started = time.monotonic()

    def look() -> None:
        while True:
            looks.append(Look(seconds=time.monotonic() - started, resident_bytes=server.resident_bytes()))
            if over.wait(_SECONDS):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()
