"""The route of the task classify."""

from __future__ import annotations

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.gate import context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.classify import ClassifyReply, ClassifyRequest, prediction_reply
from service.kinds import CLASSIFY
from service.settings import Settings


def add_classify_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/classify`."""

    @app.post("/v1/classify", tags=["classify"], response_model_exclude_none=True, openapi_extra=request_headers())
    async def classify(body: ClassifyRequest, request: Request) -> ClassifyReply:
        """Classify one text or a list of texts."""
        context = context_of(request.scope)
        model = life.catalogue.pick(CLASSIFY, body.model)
        context.model = model.name
        job = await Job.prepare(model, body.text, body.options(), "text", settings)
        found = await job.run(request.receive, context.deadline)
        predictions = [prediction_reply(each) for each in found]
        return ClassifyReply(model=model.name, version=model.version, predictions=predictions)
