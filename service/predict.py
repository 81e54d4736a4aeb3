"""Many lines through a bundle without a server, in order, with a progress bar on standard error."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.catalogue import Model, load_model
from service.runtime.decoding import Ticket
from service.runtime.session import configure_threads
from service.settings import Settings
from service.tasks.errors import TaskRefusalError
from service.tasks.translate import Options, Piece


def predict_lines(folder: Path, lines: list[str], options: Options, settings: Settings) -> Iterator[str]:
    """The translation of each line, in order; empty lines stay empty.

    Raises:
        BundleError: the folder is not a bundle that runs here.
        RefusalError: a line or an option is not taken; the message names the line.
    """
    configure_threads(settings.compute_threads)
    model = load_model(folder, settings)
    columns = (TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("", total=len(lines))
            for line in _translate(model, lines, options, settings.max_queue):
                yield line
                progress.advance(task)
    finally:
        model.engine.close(drain=False)


def _translate(model: Model, lines: list[str], options: Options, queue: int) -> Iterator[str]:
    """Keep the engine's queue full, and take results off at the front."""
    search = model.translator.search(options)
    submitted: deque[tuple[list[Piece], list[Ticket]]] = deque()
    waiting = 0

    def first() -> str:
        nonlocal waiting
        pieces, tickets = submitted.popleft()
        waiting -= len(tickets)
        if not pieces:
            return ""
        return model.translator.write(pieces, [ticket.future.result() for ticket in tickets], search).best.text

    for number, line in enumerate(lines, start=1):
        pieces = _read(model, line, options, number) if line.strip() else []
        while submitted and waiting + len(pieces) > queue:
            yield first()
        tickets = [model.engine.submit(model.translator.request(piece, search, options)) for piece in pieces]
        waiting += len(tickets)
        submitted.append((pieces, tickets))
    while submitted:
        yield first()


def _read(model: Model, line: str, options: Options, number: int) -> list[Piece]:
    try:
        return model.translator.read(line, options, f"line {number}")
    except TaskRefusalError as error:
        raise type(error)(f"line {number}: {error}", error.field) from error
