"""The route of the task tag."""

from __future__ import annotations

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.gate import context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.tag import TagReply, TagRequest, tagging_reply
from service.kinds import TAG
from service.settings import Settings


def add_tag_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/tag`."""

    @app.post("/v1/tag", tags=["tag"], response_model_exclude_none=True, openapi_extra=request_headers())
    async def tag(body: TagRequest, request: Request) -> TagReply:
        """Find the named entities of one text or a list of texts."""
        context = context_of(request.scope)
        model = life.catalogue.pick(TAG, body.model)
        context.model = model.name
        job = await Job.prepare(model, body.text, body.options(), "text", settings)
        found = await job.run(request.receive, context.deadline)
        predictions = [tagging_reply(each) for each in found]
        return TagReply(model=model.name, version=model.version, predictions=predictions)
