"""From records to cells: what was measured of a row, over its seeds, and how far it is from what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from contract.manifest import Precision, Speed
from export.results.matrix import Group, Metric, Row
from export.results.record import Exported, Record
from models.registry import ConfigError
from models.training.comparison import Comparison, run_name

_CPU: tuple[Precision, ...] = ("fp32", "int8")
_ALL: tuple[Precision, ...] = ("fp32", "int8", "fp16")
_NONE, _ELSEWHERE = "–", "†"

Metrics = Mapping[str, Metric]


@dataclass(frozen=True)
class Recorded:
    """A row and the records behind it, at least one.

    `planned` is how many there are to be, one for each seed. Speeds of another processor than the `usual` one are
    marked; none are where that is empty.
    """

    group: Group
    row: Row
    records: Sequence[Record]
    planned: int = 1
    usual: str = ""

    @property
    def exported(self) -> Mapping[Precision, Exported]:
        """What the export of one of them brought."""
        return {made.precision: made for record in self.records for made in record.exported}

    def values(self, metric: str) -> list[float]:
        """A score of each seed.

        Raises:
            ConfigError: a record lacks the metric.
        """
        for record in self.records:
            if metric not in record.scores:
                known = ", ".join(record.scores)
                raise ConfigError(f"the record of {record.run!r} has no {metric!r}; it has {known}")
        return [record.scores[metric] for record in self.records]

    def mean(self, metric: str) -> float:
        """A score, averaged over seeds."""
        return fmean(self.values(metric))


def runs_of(group: Group, row: Row, comparisons: Mapping[str, Comparison]) -> list[str]:
    """The runs that a row stands for."""
    if group.comparison is None:
        return [row.of]
    return [run_name(group.comparison, row.of, seed) for seed in comparisons[group.comparison].seeds]


def recorded(
    groups: Sequence[Group], records: Mapping[str, Record], comparisons: Mapping[str, Comparison]
) -> Iterator[Recorded]:
    """The rows that have a record at least, in order."""
    usual = usual_processor(records.values())
    for group in groups:
        for row in group.rows:
            runs = runs_of(group, row, comparisons)
            if found := [records[run] for run in runs if run in records]:
                yield Recorded(group, row, found, len(runs), usual)


def usual_processor(records: Iterable[Record]) -> str:
    """The one that most speeds were taken on; empty where there are none."""
    speeds = (made.speed for record in records for made in record.exported)
    counted = Counter(speed.processor for speed in speeds if speed)
    return counted.most_common(1)[0][0] if counted else ""


def variant(row: Recorded) -> str:
    """How it differs from its neighbours, and what a reader must know about it."""
    return "; ".join(filter(None, (row.row.variant, row.row.note)))


def quality(row: Recorded, metrics: Metrics) -> str:
    """Scores by their titles; of several seeds mean and standard deviation."""
    scores = ", ".join(f"{metrics[metric].title} {_spread(row.values(metric))}" for metric in row.group.metrics)
    done = len(row.records)
    return scores if done == row.planned else f"{scores} ({done} of {row.planned} seeds)"


def misses(row: Recorded, metrics: Metrics) -> dict[str, float]:
    """By how much each published figure that can be compared is missed, in its own units."""
    published = row.row.published
    if published is None or not published.compared:
        return {}
    behind = {
        metric: (row.mean(metric) - figure) * (1 if metrics[metric].falling else -1)
        for metric, figure in published.figures.items()
    }
    return {metric: round(points, 2) for metric, points in behind.items() if round(points, 2) > 0}


def beside(row: Recorded, metrics: Metrics) -> str:
    """The published figures, whose they are, and how far the row is from them."""
    published = row.row.published
    if published is None:
        return _NONE
    figures = ", ".join(f"{metrics[metric].title} {figure:g}" for metric, figure in published.figures.items())
    told = f"{figures} ({published.source})"
    if not published.compared:
        return told
    missed = misses(row, metrics)
    if not missed:
        return f"{told}: reached"
    return f"{told}: {', '.join(f'{metrics[metric].title} missed by {by:.2f}' for metric, by in missed.items())}"


def parameters(row: Recorded) -> str:
    """In thousands or millions."""
    count = row.records[0].parameters
    return f"{count / 1e6:.2f} M" if count >= 1e6 else f"{count / 1e3:,.0f} k"


def training_time(row: Recorded) -> str:
    """Processor time where it was counted, else time on the clock; and its precision where that is not fp32."""
    trainings = [record.training for record in row.records]
    counted = [training.processor_seconds for training in trainings if training.processor_seconds is not None]
    if len(counted) == len(trainings):
        told = f"{_duration(fmean(counted))} CPU"
    else:
        told = _duration(fmean(training.seconds for training in trainings))
    mixed = any(training.hardware and training.hardware.precision == "bf16-mixed" for training in trainings)
    return f"{told}, bf16" if mixed else told


def sizes(row: Recorded) -> str:
    """Megabytes of the bundle in fp32, int8 and fp16."""
    return _each(row, _ALL, lambda made: f"{made.bytes / 1e6:.1f}")


def errors(row: Recorded) -> str:
    """Largest difference from PyTorch in fp32 and int8."""
    return _each(row, _CPU, lambda made: _NONE if made.max_error is None else f"{made.max_error:.1g}")


def latency(row: Recorded) -> str:
    """Milliseconds of one example at a time on one core in fp32 and int8."""
    return _speeds(row, lambda speed: 1000 * speed.latency_seconds)


def rate(row: Recorded) -> str:
    """Examples a second on one core with 32 waiting, in fp32 and int8."""
    return _speeds(row, lambda speed: speed.rows_per_second)


def _speeds(row: Recorded, figure: Callable[[Speed], float]) -> str:
    told = _each(row, _CPU, lambda made: f"{figure(made.speed):,.6g}" if made.speed else _NONE)
    processors = {made.speed.processor for made in row.exported.values() if made.speed}
    return f"{told} {_ELSEWHERE}" if row.usual and processors - {row.usual} else told


def _each(row: Recorded, precisions: Sequence[Precision], cell: Callable[[Exported], str]) -> str:
    exported = row.exported
    if not exported:
        return _NONE
    return " / ".join(cell(exported[precision]) if precision in exported else _NONE for precision in precisions)


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{fmean(values):.2f} ± {stdev(values):.2f}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
