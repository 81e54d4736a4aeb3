"""The route of the task recommend."""

from __future__ import annotations

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.gate import context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.recommend import RecommendReply, RecommendRequest, recommendation_reply
from service.kinds import RECOMMEND
from service.settings import Settings


def add_recommend_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/recommend`."""

    @app.post("/v1/recommend", tags=["recommend"], response_model_exclude_none=True, openapi_extra=request_headers())
    async def recommend(body: RecommendRequest, request: Request) -> RecommendReply:
        """Recommend what comes next in one session or a list of sessions."""
        context = context_of(request.scope)
        model = life.catalogue.pick(RECOMMEND, body.model)
        context.model = model.name
        job = await Job.prepare(model, body.session, body.options(), "session", settings)
        found = await job.run(request.receive, context.deadline)
        recommendations = [recommendation_reply(each) for each in found]
        return RecommendReply(model=model.name, version=model.version, recommendations=recommendations)
