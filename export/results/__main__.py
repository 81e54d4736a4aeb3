"""`python -m export.results record | run | speeds | render | maps | pictures`: docs/results.md and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from models.command import run_command, use_threads

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

Data = Annotated[Path | None, typer.Option(help="Data folder; default: the variable SEQSERVE_DATA.")]
Comparisons = Annotated[list[str] | None, typer.Argument(help="Names; default: all in models/comparisons.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads of training; default: all cores.")]


@app.command()
def record(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs: runs/NAME.")],
    data: Data = None,
    scores_only: Annotated[bool, typer.Option("--scores-only", help="Without an export: call again for it.")] = False,
    bundles: Annotated[
        Path | None, typer.Option(help="Folder of bundles; one made from a run is taken for its export.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget what is recorded already.")] = False,
    threads: Threads = None,
) -> None:
    """Measure finished runs and write their records, or what these lack."""
    from export.results.measure import find_bundle, score_run, with_bundle, with_export
    from export.results.record import fingerprint, load_records, save_record
    from models.training.run import load_run

    use_threads(threads)
    known = load_records()
    for path in runs:
        run = load_run(path, data)
        name = run.config.name
        report = _reporter(name)
        measured = known.get(name)
        if again or measured is None or measured.config != fingerprint(run.config):
            measured = score_run(run, name, report)
            report(str(save_record(measured)))
        if measured.exported or scores_only:
            continue
        manifest = find_bundle(measured, bundles) if bundles else None
        measured = with_bundle(measured, manifest) if manifest else with_export(measured, run, report)
        report(str(save_record(measured)))


@app.command("run")
def run_comparisons(
    comparisons: Comparisons = None,
    data: Data = None,
    most: Annotated[int | None, typer.Option(min=1, help="Stop after so many runs.")] = None,
    threads: Threads = 1,
) -> None:
    """Train and record what comparisons lack; stopped at any point, it goes on from there."""
    from export.results.queue import work_off
    from models.training.comparison import comparison_names, load_comparison
    from models.training.config import data_root

    use_threads(threads)
    done = 0
    for name in comparisons or comparison_names():
        left = None if most is None else most - done
        if left != 0:
            done += work_off(name, load_comparison(name), data_root(data), typer.echo, most=left)
    typer.echo(f"{done} runs recorded")


@app.command()
def speeds(
    comparisons: Comparisons = None,
    data: Data = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each variant is timed.")] = 9,
) -> None:
    """Time the variants of comparisons in turns, and note their best rounds in place of what their records say."""
    from export.results.speeds import time_in_turns
    from models.training.comparison import comparison_names, load_comparison
    from models.training.config import data_root

    use_threads(1)
    for name in comparisons or comparison_names():
        time_in_turns(name, load_comparison(name), data_root(data), typer.echo, rounds=rounds)


@app.command()
def render() -> None:
    """Write the tables and plots of the documents from the records."""
    from export.results.render import write_documents

    for path in write_documents():
        typer.echo(str(path))


@app.command()
def maps(
    url: Annotated[str, typer.Argument(help="Address of a running service.")] = "http://127.0.0.1:3000",
) -> None:
    """Draw the guide's pictures of attention from the replies of a running service."""
    import httpx

    from export.results.maps import draw_maps, load_maps
    from export.results.render import IMAGES

    # Explaining opens sessions of its own, which takes a while the first time.
    with httpx.Client(base_url=url, timeout=30.0) as client:
        for asked, path in draw_maps(load_maps(), client, IMAGES):
            typer.echo(str(path) if path else f"{asked.file}: the service does not have {asked.model}")


@app.command()
def pictures(
    files: Annotated[list[Path], typer.Argument(help="Photographs to be completed and upscaled.", exists=True)],
    url: Annotated[str, typer.Option(help="Address of a running service.")] = "http://127.0.0.1:3000",
) -> None:
    """Draw the guide's sheets of what the models of a running service make of photographs."""
    import httpx

    from export.results.pictures import draw_sheets
    from export.results.render import IMAGES

    # A picture is thousands of steps.
    with httpx.Client(base_url=url, timeout=60.0) as client:
        for path in draw_sheets(files, client, IMAGES):
            typer.echo(str(path))


def _reporter(run: str) -> Callable[[str], None]:
    """Tells what is being done with a run."""
    return lambda stage: typer.echo(f"{run}: {stage}")


def main() -> None:
    """Run the command."""
    from contract.manifest import BundleError
    from export.errors import ExportError
    from export.markdown import MarkerError

    run_command(app, BundleError, ExportError, MarkerError)


if __name__ == "__main__":
    main()
