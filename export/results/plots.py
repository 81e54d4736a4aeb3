"""Pictures of comparisons, as small SVG: quality against speed, and BLEU against the length of the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.results.record import Bucket
from export.results.rows import Recorded

STYLE: dict[Any, Any] = {"svg.hashsalt": "seqserve", "svg.fonttype": "none", "font.size": 9}


def draw_quality(rows: Sequence[Recorded], metric: str, title: str, path: Path) -> None:
    """A point for each row: examples a second on one core (fp32, 32 waiting) against its mean score, with its spread.

    Rows without an export are left out.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _new()
        for row in rows:
            if not (made := row.exported.get("fp32")) or not made.speed:
                continue
            values = row.values(metric)
            spread = stdev(values) if len(values) > 1 else 0.0
            speed = made.speed.rows_per_second
            axes.errorbar(speed, fmean(values), yerr=spread, fmt="o", markersize=4, capsize=2, linewidth=1)
            axes.annotate(row.row.of, (speed, fmean(values)), xytext=(4, 4), textcoords="offset points", fontsize=7)
        axes.set(xlabel="examples a second, one core, fp32, 32 waiting", ylabel=title)
        axes.margins(x=0.12)  # names stand to the right of their points
        axes.grid(alpha=0.3)
        save(figure, path)


def draw_lengths(curves: Mapping[str, Sequence[Sequence[Bucket]]], path: Path) -> None:
    """BLEU of each bucket of source lengths; a curve for each name, averaged over its seeds."""
    with mpl.rc_context(STYLE):
        figure, axes = _new()
        for name, seeds in curves.items():
            scores = [[bucket.bleu for bucket in of_one] for of_one in zip(*seeds, strict=True)]
            spreads = [stdev(values) if len(values) > 1 else 0.0 for values in scores]
            means = [fmean(values) for values in scores]
            axes.errorbar(range(len(means)), means, yerr=spreads, marker="o", capsize=2, label=name)
        buckets = next(iter(curves.values()))[0]
        axes.set_xticks(range(len(buckets)), [_range(bucket) for bucket in buckets])
        axes.set(xlabel="words of the source (sentences)", ylabel="BLEU, lower-cased")
        axes.grid(alpha=0.3)
        axes.legend()
        save(figure, path)


def _range(bucket: Bucket) -> str:
    words = f"{bucket.lowest}–{bucket.highest}" if bucket.highest else f"{bucket.lowest}+"
    return f"{words}\n({bucket.sentences})"


def _new() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    return figure, figure.subplots()


def save(figure: Figure, path: Path) -> None:
    """As SVG without a date, so that the same figures give the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
