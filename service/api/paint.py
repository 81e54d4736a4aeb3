"""Routes of the tasks complete-image and upscale."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.gate import context_of
from service.api.job import Job, Reading
from service.api.life import Life
from service.api.pictures import PictureRoute
from service.api.schemas.paint import CompleteImageRequest, PaintReply, UpscaleRequest, drawn_reply
from service.api.schemas.picture import FIELD
from service.api.threads import PICTURES
from service.kinds import COMPLETE_IMAGE, UPSCALE, Kind, Model
from service.runtime.requests import GenerateRequest, Generation
from service.settings import Settings
from service.tasks.paint import Drawn, Painter

PainterT = TypeVar("PainterT", bound=Painter)

COMPLETE_PATH, UPSCALE_PATH = "/v1/complete-image", "/v1/upscale"


def add_paint_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/complete-image` and `POST /v1/upscale`."""

    def pick(kind: Kind[PainterT], name: str | None, request: Request) -> Model[PainterT]:
        model = life.catalogue.pick(kind, name)
        context_of(request.scope).model = model.name
        return model

    def reading(request: Request) -> Reading:
        return Reading(PICTURES, context_of(request.scope).deadline, settings.max_images)

    async def complete_image(body: CompleteImageRequest, request: Request) -> PaintReply:
        """Draw the lower part of one picture or of several."""
        model = pick(COMPLETE_IMAGE, body.model, request)
        job = await Job.prepare(model, body.image, body.options(), FIELD, settings, reading(request))
        return await _paint(job, request)

    async def upscale(body: UpscaleRequest, request: Request) -> PaintReply:
        """Draw one picture or several anew, from a few of their pixels."""
        model = pick(UPSCALE, body.model, request)
        job = await Job.prepare(model, body.image, body.options(), FIELD, settings, reading(request))
        return await _paint(job, request)

    shared: dict[str, Any] = {
        "methods": ["POST"],
        "route_class_override": PictureRoute,
        "openapi_extra": request_headers(),
    }
    app.router.add_api_route(COMPLETE_PATH, complete_image, tags=["complete-image"], **shared)
    app.router.add_api_route(UPSCALE_PATH, upscale, tags=["upscale"], **shared)


async def _paint(job: Job[GenerateRequest, Generation, Drawn], request: Request) -> PaintReply:
    found = await job.run(request.receive, context_of(request.scope).deadline)
    pictures = [drawn_reply(each) for each in found]
    return PaintReply(model=job.model.name, version=job.model.version, pictures=pictures)
