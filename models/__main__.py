"""`python -m models train CONFIG.yaml | evaluate RUN | list [ARCHITECTURE]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from models.command import run_command, use_threads
from models.registry import find
from models.training.config import Hardware, Precision, Split, data_root

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Train and evaluate sequence models.")
console = Console(highlight=False)

Data = Annotated[Path | None, typer.Option(help="Data folder; default: the variable SEQSERVE_DATA.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")]


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML of the run, e.g. models/configs/translation-en-de.yaml.")],
    data: Data = None,
    output: Annotated[Path, typer.Option(help="Folder of run folders.")] = Path("runs"),
    fresh: Annotated[bool, typer.Option("--fresh/--resume", help="Start anew, or go on where it was.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. training.epochs=3.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[str, typer.Option(help="Number of devices or processes, or auto.")] = "1",
    strategy: Annotated[str, typer.Option(help="Lightning strategy, e.g. ddp.")] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Mixed precision is faster where the hardware has it.")
    ] = "32-true",
    threads: Threads = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Train a model and write its run folder."""
    from models.training.task import load_config
    from models.training.trainer import discard, train

    use_threads(threads)
    resolved = load_config(config, set_)
    if fresh:
        discard(output / resolved.name)
    hardware = Hardware(accelerator, devices, strategy, precision)
    console.print(f"run folder: {train(resolved, data_root(data), output, hardware=hardware, progress=progress)}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    split: Annotated[Split, typer.Option(help="train, validation or test.")] = "validation",
    data: Data = None,
    threads: Threads = None,
) -> None:
    """Quality of a run on one split, by the metrics of its task."""
    from models.training.run import load_run

    use_threads(threads)
    opened = load_run(run, data)
    for name, value in opened.task.evaluate(opened, split).items():
        console.print(f"{name}: {value}")


@app.command("list")
def list_architectures(
    name: Annotated[str | None, typer.Argument(help="An architecture, whose fields are told.")] = None,
) -> None:
    """Every architecture with its task, paper and configs; or the fields of one."""
    from models.listing import describe_fields, listing

    if name is not None:
        entry = find(name)
        console.print(f"{name}: {entry.summary}", soft_wrap=True)
        for told in describe_fields(entry):
            console.print(f"  {told}", soft_wrap=True)
        return
    rows = listing()
    longest = max(len(word) for _, uses in rows for config in uses.configs for word in config.split())
    task, configs = Column("task", overflow="fold"), Column("configs", width=longest)
    table = Table(Column("architecture", no_wrap=True), task, "paper", configs, box=None, pad_edge=False)
    for entry, uses in rows:
        table.add_row(entry.name, ", ".join(uses.tasks), entry.paper, "\n".join(uses.configs))
    console.print(table)


def main() -> None:
    """Run the command."""
    run_command(app)


if __name__ == "__main__":
    main()
