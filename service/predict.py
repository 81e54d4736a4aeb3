"""Many lines through a bundle without a server, in order, with a progress bar on standard error."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from contract.items import ItemId
from contract.tasks import TaskName
from service.api.schemas.answer import answer_reply
from service.api.schemas.body import Body
from service.api.schemas.classify import prediction_reply
from service.api.schemas.generate import generation_reply
from service.api.schemas.paint import drawn_reply
from service.api.schemas.recommend import recommendation_reply
from service.api.schemas.tag import tagging_reply
from service.catalogue import load_model
from service.kinds import Model
from service.runtime.requests import Ticket
from service.runtime.session import configure_threads
from service.settings import Settings
from service.tasks import answer, caption, classify, generate, paint, recommend, sampling, tag, translate
from service.tasks.errors import BadOptionError, PromptError, TaskRefusalError
from service.tasks.work import Task, Work

AnyTask = Task[Any, Any, Any, Any, Any]
AnyWork = Work[Any, Any, Any]


@dataclasses.dataclass(frozen=True)
class Form:
    """How a task's lines are read and its results are written."""

    options: type
    read: Callable[[Any, str], Any]
    write: Callable[[Any], str]


class _Asked(Body):
    story: list[str]
    question: str


def predict_lines(folder: Path, lines: list[str], options: Mapping[str, object], settings: Settings) -> Iterator[str]:
    """What becomes of each line, in order; empty lines stay empty.

    A line is a text, the path of a picture file, a session (item ids with spaces between them, or a JSON list), a
    prompt, as a JSON string where it has several lines, or a JSON object of a story (a list of sentences) and a
    question. Translations and captions are written as text, anything else as the JSON object that the service would
    reply.

    Raises:
        BundleError: the folder is not a bundle that runs here.
        RefusalError: a line or an option is not taken; the message names it.
    """
    configure_threads(settings.compute_threads)
    model = load_model(folder, settings)
    columns = (TextColumn(model.bundle.manifest.task), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("", total=len(lines))
            for line in _predict(model, lines, options, settings.max_queue):
                yield line
                progress.advance(bar)
    finally:
        model.engine.close(drain=False)


def _predict(model: Model[Any], lines: list[str], given: Mapping[str, object], queue: int) -> Iterator[str]:
    """Keep the engine's queue full, and take results off at the front."""
    task: AnyTask = model.task
    form = _FORMS[model.bundle.manifest.task]
    options = _options(model, form, given)
    submitted: deque[tuple[AnyWork | None, list[Ticket[Any]]]] = deque()
    waiting = 0

    def first() -> str:
        nonlocal waiting
        work, tickets = submitted.popleft()
        waiting -= len(tickets)
        return "" if work is None else form.write(work.result([ticket.future.result() for ticket in tickets]))

    for number, line in enumerate(lines, start=1):
        work = _read(task, form, line, sampling.of_item(options, number - 1), number) if line.strip() else None
        while submitted and work is not None and waiting + work.rows > queue:
            yield first()
        tickets = [task.engine.submit(request) for request in work.requests(None, 0)] if work else []
        waiting += len(tickets)
        submitted.append((work, tickets))
    while submitted:
        yield first()


def _options(model: Model[Any], form: Form, given: Mapping[str, object]) -> object:
    known = {field.name for field in dataclasses.fields(form.options)}
    for name in given:
        if name not in known:
            manifest = model.bundle.manifest
            raise BadOptionError(f"{name} is no option of {manifest.name!r}, a model for {manifest.task}", name)
    return form.options(**given)


def _read(task: AnyTask, form: Form, line: str, options: object, number: int) -> AnyWork:
    try:
        return task.read(form.read(task, line), options, f"line {number}")
    except TaskRefusalError as error:
        raise type(error)(f"line {number}: {error}", error.field) from error


def _session(recommender: recommend.Recommender, line: str) -> list[ItemId]:
    if not line.lstrip().startswith("["):
        catalogue = recommender.catalogue
        indices = [(name, catalogue.parse(name)) for name in line.split()]
        return [name if index is None else catalogue.item(index) for name, index in indices]
    try:
        items = json.loads(line)
    except ValueError as error:
        raise BadOptionError(f"not a JSON list of item ids: {error}", "session") from error
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in items):
        raise BadOptionError("item ids are texts or integers", "session")
    return list(items)


def _asked(_task: AnyTask, line: str) -> answer.Asked:
    try:
        read = _Asked.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise BadOptionError(f"not a JSON object of a story and a question: {place} {fault['msg']}", "story") from error
    return answer.Asked(tuple(read.story), read.question)


def _text(_task: AnyTask, line: str) -> str:
    return line


def _prompt(_task: AnyTask, line: str) -> str:
    if not line.startswith('"'):
        return line
    try:
        return str(json.loads(line))
    except ValueError as error:
        raise PromptError(f"not a JSON string: {error}", "prompt") from error


def _file(_task: AnyTask, line: str) -> bytes:
    try:
        return Path(line.strip()).expanduser().read_bytes()
    except OSError as error:
        raise BadOptionError(f"cannot read the picture {line.strip()!r}: {error.strerror}", "image") from error


def _json(reply: Callable[[Any], BaseModel]) -> Callable[[Any], str]:
    return lambda found: reply(found).model_dump_json(exclude_none=True)


_FORMS: dict[TaskName, Form] = {
    "translate": Form(translate.Options, _text, lambda found: found.best.text),
    "caption": Form(caption.Options, _file, lambda found: found.best.text),
    "generate": Form(generate.Options, _prompt, _json(generation_reply)),
    "complete-image": Form(paint.CompletionOptions, _file, _json(drawn_reply)),
    "upscale": Form(sampling.SamplingOptions, _file, _json(drawn_reply)),
    "classify": Form(classify.Options, _text, _json(prediction_reply)),
    "tag": Form(tag.Options, _text, _json(tagging_reply)),
    "answer": Form(answer.Options, _asked, _json(answer_reply)),
    "recommend": Form(recommend.Options, _session, _json(recommendation_reply)),
}
