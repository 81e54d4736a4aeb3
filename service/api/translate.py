"""Routes of the task translate."""

from __future__ import annotations

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.events import EventStream
from service.api.gate import context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.translate import (
    TranslateReply,
    TranslateRequest,
    TranslateStreamRequest,
    translation_reply,
)
from service.api.streaming import stream, stream_reply
from service.kinds import TRANSLATE, Model
from service.settings import Settings
from service.tasks.growing import GrowingParagraph
from service.tasks.translate import Options, Paragraph, Translation, Translator

_STREAM_EXAMPLE = (
    'event: token\ndata: {"text":"Ein Mann"}\n\nevent: token\ndata: {"text":" fährt Fahrrad."}\n\n'
    'event: done\ndata: {"model":"translation-en-de","version":"1.0.0","translations":[{"text":'
    '"Ein Mann fährt Fahrrad.","score":-0.31}]}\n\n'
)


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
        responses=stream_reply("/v1/translate", _STREAM_EXAMPLE),
        openapi_extra=request_headers(),
    )
    async def translate_stream(body: TranslateStreamRequest, request: Request) -> EventStream:
        """Translate a text and send it as it grows: only what no later word can change is sent."""
        context = context_of(request.scope)
        model = life.catalogue.pick(TRANSLATE, body.model)
        context.model = model.name
        options = body.options()
        job = await Job.prepare(model, [body.text], options, "text", settings)
        (work,) = job.works
        assert isinstance(work, Paragraph)
        growing = GrowingParagraph(model.task.codec, [piece.sentence.separator for piece in work.pieces])
        return await stream(job, growing, lambda found: _reply(model, found, options), request)


def _reply(model: Model[Translator], found: list[Translation], options: Options) -> TranslateReply:
    translations = [translation_reply(each, options) for each in found]
    return TranslateReply(model=model.name, version=model.version, translations=translations)
