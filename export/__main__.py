"""`python -m export RUN --output artifacts/NAME`: a trained run becomes a bundle that proves itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast, get_args

import typer
from typer.core import TyperGroup

from contract.manifest import Manifest, Precision

if TYPE_CHECKING:
    from export.material import Material


class _RunByDefault(TyperGroup):
    """Takes `python -m export RUN …` for `python -m export bundle RUN …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["bundle", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(help="A finished training run: runs/NAME.")],
    output: Annotated[Path, typer.Option(help="Where bundles of this name go: artifacts/NAME.")],
    version: Annotated[str | None, typer.Option(help="Version folder to create; else the next number.")] = None,
    precisions: Annotated[str, typer.Option(help="Made and verified, comma-separated.")] = "fp32,int8,fp16",
    ship: Annotated[str, typer.Option(help="Which of them the bundle holds, comma-separated.")] = "int8,fp16",
    data: Annotated[Path | None, typer.Option(help="The data folder; else SEQSERVE_DATA.")] = None,
    length_penalty: Annotated[float | None, typer.Option(help="Of beam search where a request does not say.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of drawing where a request does not say.")] = None,
    top_k: Annotated[
        int | None, typer.Option(help="How many tokens are drawn from where a request does not say.")
    ] = None,
    top_p: Annotated[float | None, typer.Option(help="Their share of what is likely.")] = None,
    metric_drop: Annotated[float, typer.Option(help="Points that a reduced precision may cost.")] = 0.5,
) -> None:
    """Trace, optimise, verify and package a run. Nothing is written unless everything holds."""
    made, shipped = _precisions(precisions), _precisions(ship)
    from rich.console import Console

    from contract.manifest import BundleError
    from export.errors import ExportError
    from export.package import next_version
    from export.pipeline import Options, export_bundle
    from export.runs import from_run
    from models.data.lines import DataError
    from models.registry import ConfigError
    from models.training.run import load_run

    console = Console(stderr=True)
    try:
        options = Options(made, shipped, metric_drop=metric_drop)
        target = output / (version or next_version(output))
        with console.status("loading the run") as status:

            def report(stage: str) -> None:
                console.print(f"[green]✓[/green] {status.status}", highlight=False)
                status.update(stage)

            material = _with_penalty(from_run(load_run(run, data)), length_penalty)
            material = _with_sampling(material, temperature=temperature, top_k=top_k, top_p=top_p)
            manifest = export_bundle(material, target, options, report)
            report("done")
    except (BundleError, ConfigError, DataError, ExportError) as error:
        _fail(str(error))
    _summarise(target, manifest)


@app.command()
def record(
    bundle: Annotated[Path, typer.Argument(help="A bundle: NAME/ (its newest version) or NAME/VERSION/.")],
    scores: Annotated[Path, typer.Argument(help="JSON: a list of metric, value, data, split, precision, note.")],
) -> None:
    """Add measured scores to a bundle's manifest and model card."""
    from pydantic import ValidationError

    from contract.manifest import BundleError
    from export.package import read_scores, record_scores

    try:
        manifest = record_scores(bundle, read_scores(scores))
    except (OSError, BundleError, ValidationError) as error:
        _fail(str(error))
    typer.echo(f"{manifest.name} {manifest.version}: {len(manifest.scores)} scores")


def _precisions(text: str) -> tuple[Precision, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    known = get_args(Precision)
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"{', '.join(unknown)}: the precisions are {', '.join(known)}")
    return cast("tuple[Precision, ...]", names)


def _with_penalty(material: Material, length_penalty: float | None) -> Material:
    from export.errors import ExportError
    from export.generate import GenerateMaterial

    if length_penalty is None:
        return material
    if not isinstance(material, GenerateMaterial):
        raise ExportError(f"a model for {material.task!r} writes nothing: leave out --length-penalty")
    return replace(material, length_penalty=length_penalty)


def _with_sampling(material: Material, **chosen: float | None) -> Material:
    from contract.manifest import Sampling
    from export.errors import ExportError
    from export.prompt import DrawnMaterial

    given = {name: value for name, value in chosen.items() if value is not None}
    if not given:
        return material
    if not isinstance(material, DrawnMaterial):
        raise ExportError(f"a model for {material.task!r} draws nothing: leave out --temperature, --top-k and --top-p")
    try:
        return replace(material, sampling=Sampling.model_validate(given))
    except ValueError as error:
        raise ExportError(f"drawing: {error}") from error


def _summarise(target: Path, manifest: Manifest) -> None:
    for variant in manifest.variants:
        size = sum(f.bytes for name, f in manifest.files.items() if name.startswith(f"{variant.precision}/")) / 1e6
        error = "not run here" if variant.max_error is None else f"largest error {variant.max_error:.2g}"
        metrics = "".join(f", {name} {value:.2f}" for name, value in variant.metrics.items())
        typer.echo(f"{target} {variant.precision}: {variant.status}, {size:.1f} MB, {error}{metrics}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"export: {message}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    app()
