"""Load on a running service, or on one that is started on the shipped bundles and ended afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from loadtest.bench.server import ServerError, run_service
from loadtest.report import PhaseReport, Report
from loadtest.run import REPORTS, run_locust
from loadtest.shapes import PEAK_USERS, SHAPES, USERS
from loadtest.soak import MOST_GROWTH, soak

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(width=None if sys.stdout.isatty() else 150)

BUNDLES = Path(__file__).resolve().parents[1] / "artifacts"
_SHORT_QUEUE = "256"
"""Rows that may wait where overload is the point: those of 64 users, lists among them; thousands would hide it."""

BundlesOption = Annotated[Path, typer.Option("--bundles", help="Folder of the bundles of a service started here.")]
SettingOption = Annotated[
    list[str], typer.Option("--setting", help="Of a service started here, as in max_queue=64; may be repeated.")
]
MixOption = Annotated[
    str | None, typer.Option("--mix", help="As in translate=3,classify=1; else all served ones it knows.")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of texts, sessions, pictures; else samples.")]
RateOption = Annotated[float | None, typer.Option("--rate", help="Requests a second, whatever becomes of them.")]
ThresholdsOption = Annotated[Path | None, typer.Option("--thresholds", help="YAML file of what a run must keep to.")]
ToleranceOption = Annotated[
    float | None, typer.Option("--tolerance", help="By which scores of one question may differ; on a GPU, 0.05.")
]


@app.command()
def load(
    url: Annotated[str | None, typer.Option(help="Of a running service on this machine; else one is started.")] = None,
    shape: Annotated[str, typer.Option(help=", ".join(SHAPES))] = "steady",
    rate: RateOption = None,
    poisson: Annotated[bool, typer.Option("--poisson", help="Arrivals at random instants of that rate.")] = False,
    users: Annotated[
        int | None,
        typer.Option(min=1, help=f"Outstanding where no rate is given; default {USERS}, of an overload {PEAK_USERS}."),
    ] = None,
    duration: Annotated[str, typer.Option(help="As in 90s or 10m.")] = "60s",
    mix: MixOption = None,
    data: DataOption = None,
    thresholds: ThresholdsOption = None,
    tolerance: ToleranceOption = None,
    bundles: BundlesOption = BUNDLES,
    setting: SettingOption = [],  # noqa: B006  # typer reads it
) -> None:
    """Put load on a service; fails where a threshold is broken. Reports are in reports/load/SHAPE.{html,json,csv}."""
    options = ["--load-shape", shape, "--duration", duration]
    options += _given(users=users, rate=rate, mix=mix, data=data, thresholds=thresholds, tolerance=tolerance)
    options += ["--poisson"] if poisson else []
    queue = {"max_queue": _SHORT_QUEUE, "max_sentences": _SHORT_QUEUE} if shape == "overload" else {}
    with _service(url, bundles, queue | _settings(setting)) as at:
        finished = run_locust(at, shape, options)
    if finished.report is not None:
        console.print(_table(finished.report))
    raise typer.Exit(0 if finished.passed else 1)


@app.command("soak")
def soak_command(
    seconds: Annotated[float, typer.Option(min=1)] = 600,
    users: Annotated[int, typer.Option(min=1, help="Requests outstanding where no rate is given.")] = USERS,
    rate: RateOption = None,
    mix: MixOption = None,
    data: DataOption = None,
    thresholds: ThresholdsOption = None,
    tolerance: ToleranceOption = None,
    bundles: BundlesOption = BUNDLES,
    setting: SettingOption = [],  # noqa: B006  # typer reads it
) -> None:
    """Load a service started here for long; its memory, its errors and its counters are in reports/load/soaked.json."""
    options = ["--users", str(users)]
    options += _given(rate=rate, mix=mix, data=data, thresholds=thresholds, tolerance=tolerance)
    with run_service(_names(bundles), settings=_settings(setting)) as server:
        soaked = soak(server, seconds, options)
    if soaked is None:
        _fail("the run could not begin")
    (REPORTS / "soaked.json").write_text(soaked.model_dump_json(indent=1) + "\n", encoding="utf-8")
    console.print(
        f"{sum(soaked.sent.values()):,} requests in {seconds:g} s; memory {soaked.baseline_bytes / 1e6:.0f} MB, "
        f"{soaked.end_bytes / 1e6:.0f} MB at the end: {soaked.growth:+.1%} (limit {MOST_GROWTH:+.0%})"
    )
    faults = soaked.faults()
    sys.stderr.writelines(f"soak: {fault}\n" for fault in faults)
    raise typer.Exit(1 if faults else 0)


@contextmanager
def _service(url: str | None, bundles: Path, settings: dict[str, str]) -> Iterator[str]:
    """A named service, or one that is started on a free port of this machine and ended afterwards."""
    if url:
        yield url.rstrip("/")
        return
    with run_service(_names(bundles), settings=settings) as server:
        yield server.url


def _names(bundles: Path) -> list[Path]:
    found = sorted(path for path in bundles.iterdir() if path.is_dir()) if bundles.is_dir() else []
    return [path for path in found if not path.name.startswith(".")] or _fail(f"{bundles} holds no bundles")


def _settings(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if wrong := [name for name, named, _ in pairs if not named]:
        _fail(f"--setting {wrong[0]}: write it as name=value, as in max_queue=64")
    return {name: value for name, _, value in pairs}


def _given(**options: object) -> list[str]:
    """Those options that were given, as Locust reads them."""
    return [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]


def _table(report: Report) -> Table:
    table = Table(title=f"Shape {report.shape}; ms from when a request was due", title_justify="left")
    for column in ("", "requests/s", "answered/s", "refused", "failed", "p50", "p95", "p99"):
        table.add_column(column, justify="right" if column else "left", no_wrap=bool(column))
    for phase in report.phases:
        table.add_row(*_head(phase), style="bold")
        for each in phase.endpoints:
            sent, answered = each.due / phase.seconds, each.answered / phase.seconds
            times = (f"{value:,.0f}" if value is not None else "–" for value in (each.p50, each.p95, each.p99))
            table.add_row(
                f"  {each.path}", f"{sent:,.1f}", f"{answered:,.1f}", str(each.refused), str(each.failed), *times
            )
    return table


def _head(phase: PhaseReport) -> tuple[str, ...]:
    load = f"{phase.rate:,.1f} requests/s" if phase.rate is not None else f"{phase.users} outstanding"
    refused, failed = (sum(getattr(e, kind) for e in phase.endpoints) for kind in ("refused", "failed"))
    refusal = f", refusals after {phase.refusal:.0f} ms" if phase.refusal is not None else ""
    unsent = f", {phase.unsent:,} never sent" if phase.unsent else ""
    name = f"{phase.name} ({phase.seconds:.0f} s, {load}{refusal}{unsent})"
    return name, f"{phase.offered:,.1f}", f"{phase.goodput:,.1f}", str(refused), str(failed), "", "", ""


def _fail(message: str) -> NoReturn:
    console.print(f"loadtest: {message}", style="red", highlight=False)
    raise typer.Exit(2)


if __name__ == "__main__":
    try:
        app()
    except ServerError as error:
        _fail(str(error))
