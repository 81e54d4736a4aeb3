"""The documents that are written from records: tables between markers, and the plots that they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from export.markdown import fill, table
from export.results import plots, rows
from export.results.matrix import MATRIX, Group, Matrix, Metric, Row, load_matrix
from export.results.record import RECORDS, Bucket, Record, fingerprint, load_records
from export.results.rows import Recorded, recorded
from models.training.comparison import COMPARISONS, CONFIGS, Comparison, comparison_names, load_comparison, planned_runs
from models.training.task import load_config

RESULTS, GUIDE, IMAGES = Path("docs/results.md"), Path("docs/architectures.md"), Path("docs/images")
BY_LENGTH = IMAGES / "results-source-length.svg"
WITH_AND_WITHOUT = ("additive", "none")
"""Variants whose BLEU is drawn against the length of the source."""
_NONE = "Not run yet."

Cell = Callable[[Recorded, Mapping[str, Metric]], str]

_FULL: dict[str, Cell] = {
    "architecture": lambda row, _: row.row.architecture,
    "variant": lambda row, _: rows.variant(row),
    "task": lambda row, _: row.group.task,
    "data": lambda row, _: row.group.data,
    "quality": rows.quality,
    "published": rows.beside,
    "parameters": lambda row, _: rows.parameters(row),
    "training": lambda row, _: rows.training_time(row),
    "MB": lambda row, _: rows.sizes(row),
    "error": lambda row, _: rows.errors(row),
    "ms": lambda row, _: rows.latency(row),
    "a second": lambda row, _: rows.rate(row),
}
_FIGURES = 6
_OF_A_FAMILY = ("architecture", "variant", "task", "quality", "published", "parameters", "MB", "ms", "a second")
"""What the guide shows of a family."""


@dataclass(frozen=True)
class Book:
    """Everything that the documents are written from, below the root of the project."""

    root: Path = Path()

    @cached_property
    def matrix(self) -> Matrix:
        return load_matrix(self.root / MATRIX)

    @cached_property
    def records(self) -> dict[str, Record]:
        return load_records(self.root / RECORDS)

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        folder = self.root / COMPARISONS
        return {name: load_comparison(name, folder) for name in comparison_names(folder)}

    def rows(self, groups: Sequence[Group]) -> list[Recorded]:
        """The rows of groups that have a record."""
        return list(recorded(groups, self.records, self.comparisons))

    def table(self, groups: Sequence[Group], columns: Sequence[str] = tuple(_FULL)) -> str:
        """A table of groups, without rows that have no record."""
        cells = [[_FULL[column](row, self.matrix.metrics) for column in columns] for row in self.rows(groups)]
        return table(columns, cells, figures=sum(column in tuple(_FULL)[-_FIGURES:] for column in columns))

    def missed(self) -> str:
        """Published figures that were not reached, by how much."""
        titles = self.matrix.metrics
        lines = [
            f"- {_name(row.row)}: {titles[metric].title} {row.mean(metric):.2f}, {points:.2f} behind "
            f"{row.row.published.figures[metric]:g} ({row.row.published.source})"
            for row in self.rows(list(self.matrix.groups()))
            for metric, points in rows.misses(row, titles).items()
            if row.row.published
        ]
        return "\n".join(lines) or "None."

    def not_run(self) -> str:
        """What has no record yet, or that of another config than the one that stands there now."""
        lines = []
        for group, row in self.matrix.rows():
            runs = rows.runs_of(group, row, self.comparisons)
            if waiting := [run for run in runs if run not in self.records]:
                lines.append(f"- {_name(row)}: `{waiting[0]}`" + _and_more(len(waiting) - 1))
        lines += [f"- `{run}` is recorded with another config than `{of}` is now" for run, of in self.stale()]
        return "\n".join(lines) or "Nothing."

    def stale(self) -> Iterator[tuple[str, str]]:
        """Records of configs that have changed since, and where the config stands."""
        now = {path.stem: (path, load_config(path)) for path in sorted((self.root / CONFIGS).glob("*.yaml"))}
        planned = {name: (str(path.relative_to(self.root)), config) for name, (path, config) in now.items()}
        for name, comparison in self.comparisons.items():
            for one in planned_runs(name, comparison, self.root / CONFIGS):
                planned[one.run] = (str(COMPARISONS / f"{name}.yaml"), one.config)
        for run, record in self.records.items():
            if run in planned and record.config != fingerprint(planned[run][1]):
                yield run, planned[run][0]

    def results(self) -> str:
        """`docs/results.md` as the records want it."""
        text = (self.root / RESULTS).read_text("utf-8")
        for mark, groups in self.matrix.tables.items():
            text = fill(text, f"results:{mark}", self.table(groups))
        for name, comparison in self.comparisons.items():
            title = f"{comparison.title}: quality against speed"
            drawn = _picture(title, _plot(name)) if self.compared(name) else _NONE
            text = fill(text, f"results:plot {name}", drawn)
        lengths = "BLEU against words of the source, with and without attention"
        text = fill(text, "results:plot source-length", _picture(lengths, BY_LENGTH) if self.by_length() else _NONE)
        return fill(fill(text, "results:missed", self.missed()), "results:not-run", self.not_run())

    def guide(self) -> str:
        """`docs/architectures.md` as the records want it: a table for each family."""
        text = (self.root / GUIDE).read_text("utf-8")
        for family in dict.fromkeys(group.family for group in self.matrix.groups() if group.family):
            groups = [group for group in self.matrix.groups() if group.family == family]
            text = fill(text, f"results:{family}", self.table(groups, _OF_A_FAMILY))
        return text

    def draw(self) -> Iterator[Path]:
        """The plots: quality against speed of each comparison, BLEU against source length."""
        for name in self.comparisons:
            if found := self.compared(name):
                metric = found[0].group.metrics[0]
                plots.draw_quality(found, metric, self.matrix.metrics[metric].title, self.root / _plot(name))
                yield self.root / _plot(name)
        if curves := self.by_length():
            plots.draw_lengths(curves, self.root / BY_LENGTH)
            yield self.root / BY_LENGTH

    def compared(self, comparison: str) -> list[Recorded]:
        """The rows of a comparison that have a record."""
        return self.rows([group for group in self.matrix.groups() if group.comparison == comparison])

    def by_length(self) -> dict[str, list[tuple[Bucket, ...]]]:
        """BLEU by the length of the source, of every seed with and without attention; empty before both are there."""
        found = {
            row.row.of: [record.by_source_length for record in row.records]
            for row in self.rows(list(self.matrix.groups()))
            if row.row.of in WITH_AND_WITHOUT and all(record.by_source_length for record in row.records)
        }
        return found if len(found) == len(WITH_AND_WITHOUT) else {}


def write_documents(root: Path = Path()) -> list[Path]:
    """Write tables and plots; returns the files."""
    book = Book(root)
    for path, text in ((root / RESULTS, book.results()), (root / GUIDE, book.guide())):
        path.write_text(text, "utf-8")
    return [root / RESULTS, root / GUIDE, *book.draw()]


def _plot(comparison: str) -> Path:
    return IMAGES / f"results-{comparison}.svg"


def _picture(title: str, path: Path) -> str:
    return f"![{title}]({path.relative_to(RESULTS.parent)})"


def _and_more(runs: int) -> str:
    return f" and {runs} more seed{'s' if runs > 1 else ''}" if runs else ""


def _name(row: Row) -> str:
    return f"{row.architecture}, {row.variant}" if row.variant else row.architecture
