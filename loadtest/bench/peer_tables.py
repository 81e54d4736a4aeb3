"""What the comparison shows: figures of every system, and whether each target is met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from export.results.plots import STYLE, save
from loadtest.bench.measure import Spread
from loadtest.bench.peers import Served, Task
from loadtest.bench.table import Table

PLOT = Path("docs/images/peers.svg")
TARGETS = {"translate": 1.5, "caption": 1.5, "classify": 1.2, "recommend": 1.2}
"""How many times the throughput of the best peer is wanted at the most connections."""
ALONE = 0.9
"""And at one connection."""
_FEW = 100
"""Requests a second below which a digit more is shown."""


@dataclass(frozen=True)
class Peers:
    """All that was measured; `device` is what models ran on."""

    device: str
    tasks: list[Task]

    def tables(self) -> list[Table]:
        """One table a task, then the targets."""
        return [*(_task_table(task, self.device) for task in self.tasks), _target_table(self.tasks)]


def draw_peers(peers: Peers, path: Path = PLOT) -> None:
    """Requests a second of every system, by connections; a picture for each task."""
    systems = list(dict.fromkeys(served.system for task in peers.tasks for served in task.served))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(peers.tasks), 3.2), layout="constrained")
        lines: dict[str, Line2D] = {}
        for axes, task in zip(figure.subplots(1, len(peers.tasks), squeeze=False)[0], peers.tasks, strict=True):
            for served in task.served:
                points = (served.at(point.connections) for point in served.points)
                rates = [(point.connections, point.spread("rate").median) for point in points if point]
                if rates:
                    # By its number: not every system serves every task, and each keeps its colour.
                    colour = f"C{systems.index(served.system)}"
                    (line,) = axes.plot(*zip(*rates, strict=True), marker="o", markersize=3, color=colour)
                    lines.setdefault(served.system, line)
            axes.set(
                title=f"/v1/{task.task}", xlabel="connections", ylabel="requests a second", xscale="log", ylim=(0, None)
            )
            counts = sorted({point.connections for served in task.served for point in served.points})
            axes.set_xticks(counts, map(str, counts))
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        figure.legend(lines.values(), lines, loc="outside lower center", ncols=3, fontsize=7)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(figure, path)


def _task_table(task: Task, device: str) -> Table:
    repeats = max(len(point.looks) for served in task.served for point in served.points)
    watched = any(look.gpu is not None for served in task.served for point in served.points for look in point.looks)
    columns = ["", "connections", "requests/s", "p50", "p95", "p99", "CPU a request", "memory", "same answers"]
    rows = [row for served in task.served for row in _rows(served, watched)]
    caption = f"/v1/{task.task} on {task.model}, {device}; medians of {repeats} runs (lowest–highest), milliseconds, MB"
    return Table(caption, columns + ["GPU busy"] * watched, rows)


def _rows(served: Served, watched: bool) -> Iterator[tuple[str, ...]]:
    if served.missing is not None:
        yield (f"{served.system}: cannot run here ({_plain(served.missing)})", *("–",) * (8 + watched))
        return
    same = "–" if served.same is None else f"{served.same:.0%}"
    for point in served.points:
        rate, *times = (point.spread(name) for name in ("rate", "p50", "p95", "p99", "cpu"))
        gpus = [look.gpu for look in point.looks if look.gpu is not None]
        yield (
            served.system,
            str(point.connections),
            f"{_rate(rate.median)} ({_rate(rate.lowest)}–{_rate(rate.highest)})",
            *(f"{1000 * spread.median:,.2f}" for spread in times),
            f"{point.spread('resident_bytes').median / 1e6:,.0f}",
            same,
            *([f"{Spread(tuple(gpus)).median:.0%}" if gpus else "–"] * watched),
        )


def _target_table(tasks: list[Task]) -> Table:
    rows = []
    for task in tasks:
        ours, *peers = task.served
        counts = sorted(point.connections for point in ours.points)
        for connections, target in dict.fromkeys(((counts[0], ALONE), (counts[-1], TARGETS[task.task]))):
            rows.append(_target_row(task, ours, peers, connections, target))
    return Table("What was wanted: times the requests a second of the best peer", _TARGET_COLUMNS, rows)


_TARGET_COLUMNS = ("", "connections", "best peer", "seqserve is", "wanted", "target")


def _target_row(task: Task, ours: Served, peers: list[Served], connections: int, target: float) -> tuple[str, ...]:
    place = f"/v1/{task.task}", str(connections)
    rates = {peer.system: point.spread("rate") for peer in peers if (point := peer.at(connections))}
    point = ours.at(connections)
    if not rates or point is None:
        return (*place, "–", "–", f"{target:.2f}×", "not measured: nothing to compare")
    best = max(rates, key=lambda system: rates[system].median)
    ratio = point.spread("rate").over(rates[best])
    short = target - ratio.median
    verdict = "met" if short <= 0 else f"**missed by {short:.2f}×**"
    shown = f"{ratio.median:.2f}× ({ratio.lowest:.2f}–{ratio.highest:.2f})"
    return (*place, best, shown, f"{target:.2f}×", verdict)


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < _FEW else f"{value:,.0f}"


def _plain(text: str) -> str:
    """A text that breaks no table."""
    return text.replace("|", "/").replace("\n", " ")
