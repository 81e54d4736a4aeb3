"""Routes of the task translate."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.errors import CLIENT_GONE, ClientGoneError, as_problem
from service.api.events import MEDIA_TYPE as EVENT_STREAM
from service.api.events import EventStream, event, piece_event
from service.api.gate import RequestContext, context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.translate import (
    TranslateReply,
    TranslateRequest,
    TranslateStreamRequest,
    translation_reply,
)
from service.api.waiting import Progress, follow
from service.kinds import TRANSLATE, Model
from service.runtime.requests import GenerateRequest, Generation
from service.settings import Settings
from service.tasks.growing import GrowingParagraph
from service.tasks.translate import Options, Paragraph, Translation, Translator

_STREAM_EXAMPLE = (
    'event: token\ndata: {"text":"Ein Mann"}\n\nevent: token\ndata: {"text":" fährt Fahrrad."}\n\n'
    'event: done\ndata: {"model":"translation-en-de","version":"1.0.0","translations":[{"text":'
    '"Ein Mann fährt Fahrrad.","score":-0.31}]}\n\n'
)
_STREAM_REPLY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "events `token` whose texts joined are the translation, then one event `done` with the reply of "
        "/v1/translate, or `error` with a problem document",
        "content": {EVENT_STREAM: {"schema": {}, "example": _STREAM_EXAMPLE}},
    }
}


def add_translate_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/translate` and `POST /v1/translate/stream`."""

    @app.post("/v1/translate", tags=["translate"], response_model_exclude_none=True, openapi_extra=request_headers())
    async def translate(body: TranslateRequest, request: Request) -> TranslateReply:
        """Translate one text or a list of texts."""
        context = context_of(request.scope)
        model = life.catalogue.pick(TRANSLATE, body.model)
        context.model = model.name
        options = body.options()
        job = await Job.prepare(model, body.text, options, "text", settings)
        found = await job.run(request.receive, context.deadline)
        return _reply(model, found, options)

    @app.post(
        "/v1/translate/stream",
        tags=["translate"],
        status_code=200,
        response_class=EventStream,
        responses=_STREAM_REPLY,
        openapi_extra=request_headers(),
    )
    async def translate_stream(body: TranslateStreamRequest, request: Request) -> EventStream:
        """Translate a text and send it as it grows: only what no later word can change is sent."""
        context = context_of(request.scope)
        model = life.catalogue.pick(TRANSLATE, body.model)
        context.model = model.name
        options = body.options()
        job = await Job.prepare(model, [body.text], options, "text", settings)
        requests = job.requests(context.deadline)
        progress = follow(model.task.engine, requests, request.receive, context.deadline)
        # A refusal comes before the head is sent, so that it has a status of its own.
        first = await anext(progress)
        return EventStream(_events(job, model, options, first, progress, context))


async def _events(
    job: Job[GenerateRequest, Generation, Translation],
    model: Model[Translator],
    options: Options,
    first: Progress,
    progress: AsyncGenerator[Progress],
    context: RequestContext,
) -> AsyncIterator[bytes]:
    """The events of one stream, sentence after sentence. What goes wrong after the head is an event as well."""
    (work,) = job.works
    assert isinstance(work, Paragraph)
    paragraph = GrowingParagraph(model.bundle.target, [piece.sentence.separator for piece in work.pieces])
    generations: dict[int, Generation] = {}

    def heard(step: Progress) -> str:
        if step.generation is None:
            return paragraph.push(step.index, step.ids)
        generations[step.index] = step.generation
        return paragraph.finish(step.index, model.task.text(step.generation.hypotheses[0]))

    try:
        async with aclosing(progress):
            if text := heard(first):
                yield piece_event(text)
            async for step in progress:
                if text := heard(step):
                    yield piece_event(text)
        found = await job.results([generations[index] for index in range(work.rows)], context.deadline)
        yield event("done", _reply(model, found, options).model_dump_json(exclude_none=True).encode())
    except ClientGoneError:
        context.status = CLIENT_GONE
    except Exception as error:  # noqa: BLE001  # the head is sent: it can only be told as an event
        problem = as_problem(error, context.id)
        context.status, context.reason = problem.kind.status, problem.kind.slug
        yield event("error", problem.document(context.id))


def _reply(model: Model[Translator], found: list[Translation], options: Options) -> TranslateReply:
    translations = [translation_reply(each, options) for each in found]
    return TranslateReply(model=model.name, version=model.version, translations=translations)
