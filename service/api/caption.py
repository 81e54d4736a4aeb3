"""Routes of the task caption."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from service.api.docs import request_headers
from service.api.errors import ProblemError
from service.api.events import EventStream
from service.api.gate import context_of
from service.api.job import Job, Reading
from service.api.life import Life
from service.api.pictures import PictureRoute
from service.api.schemas.caption import (
    CaptionOverlayRequest,
    CaptionReply,
    CaptionRequest,
    CaptionStreamRequest,
    picture_reply,
)
from service.api.schemas.picture import FIELD
from service.api.streaming import stream, stream_reply
from service.api.threads import PICTURES
from service.kinds import CAPTION, Model
from service.runtime.requests import GenerateRequest, Generation
from service.settings import Settings
from service.tasks.caption import Caption, Captioner
from service.tasks.growing import GrowingParagraph
from service.tasks.overlay import draw_overlay

PATH, STREAM_PATH, OVERLAY_PATH = "/v1/caption", "/v1/caption/stream", "/v1/caption/overlay"
_STREAM_EXAMPLE = (
    'event: token\ndata: {"text":"a dog"}\n\nevent: token\ndata: {"text":" runs"}\n\n'
    'event: done\ndata: {"model":"captions","version":"1.0.0","captions":[{"text":"a dog runs","score":-0.8,'
    '"image":{"width":640,"height":480,"box":{"left":0,"top":0,"right":640,"bottom":480}}}]}\n\n'
)
_OVERLAY_REPLY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a PNG: the picture, and for each word of its caption the picture once more, bright where the "
        "model looked, the word above it",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_Body = CaptionRequest | CaptionStreamRequest | CaptionOverlayRequest


def add_caption_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/caption`, `POST /v1/caption/stream` and `POST /v1/caption/overlay`."""

    def pick(body: _Body, request: Request) -> Model[Captioner]:
        model = life.catalogue.pick(CAPTION, body.model)
        context_of(request.scope).model = model.name
        return model

    async def prepare(
        model: Model[Captioner], body: _Body, request: Request
    ) -> Job[GenerateRequest, Generation, Caption]:
        pictures = body.image if isinstance(body, CaptionRequest) else [body.image]
        reading = Reading(PICTURES, context_of(request.scope).deadline, settings.max_images)
        return await Job.prepare(model, pictures, body.options(), FIELD, settings, reading)

    async def caption(body: CaptionRequest, request: Request) -> CaptionReply:
        """Describe one picture or several, each in a sentence."""
        model = pick(body, request)
        job = await prepare(model, body, request)
        return _reply(model, await job.run(request.receive, context_of(request.scope).deadline))

    async def caption_stream(body: CaptionStreamRequest, request: Request) -> EventStream:
        """Describe a picture and send the sentence as it grows: only what no later word can change is sent."""
        model = pick(body, request)
        job = await prepare(model, body, request)
        growing = GrowingParagraph(model.task.codec, [""])
        return await stream(job, growing, lambda found: _reply(model, found), request)

    async def caption_overlay(body: CaptionOverlayRequest, request: Request) -> Response:
        """Describe a picture, and draw for each word what the model looked at."""
        model = pick(body, request)
        if not model.task.explains:
            detail = f"model {model.name!r} has no attention that could be drawn: choose a model that has it"
            raise ProblemError("no-attention", detail, "model")
        deadline = context_of(request.scope).deadline
        (found,) = await (await prepare(model, body, request)).run(request.receive, deadline)
        attention = found.best.attention
        assert attention is not None, "it was asked for"
        drawn = await PICTURES.run(lambda: draw_overlay(body.image, found.view, attention), deadline)
        return Response(drawn, media_type="image/png")

    shared: dict[str, Any] = {
        "methods": ["POST"],
        "tags": ["caption"],
        "route_class_override": PictureRoute,
        "openapi_extra": request_headers(),
    }
    told = stream_reply(PATH, _STREAM_EXAMPLE)
    app.router.add_api_route(PATH, caption, response_model_exclude_none=True, **shared)
    app.router.add_api_route(
        STREAM_PATH, caption_stream, status_code=200, response_class=EventStream, responses=told, **shared
    )
    app.router.add_api_route(OVERLAY_PATH, caption_overlay, response_class=Response, responses=_OVERLAY_REPLY, **shared)


def _reply(model: Model[Captioner], found: list[Caption]) -> CaptionReply:
    captions = [picture_reply(each) for each in found]
    return CaptionReply(model=model.name, version=model.version, captions=captions)
