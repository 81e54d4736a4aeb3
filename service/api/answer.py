"""The route of the task answer."""

from __future__ import annotations

from fastapi import FastAPI, Request

from service.api.docs import request_headers
from service.api.gate import context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.answer import AnswerReply, AnswerRequest, answer_reply
from service.kinds import ANSWER
from service.settings import Settings


def add_answer_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/answer`."""

    @app.post("/v1/answer", tags=["answer"], response_model_exclude_none=True, openapi_extra=request_headers())
    async def answer(body: AnswerRequest, request: Request) -> AnswerReply:
        """Answer one question or a list of questions about a story each, or about the same one."""
        context = context_of(request.scope)
        model = life.catalogue.pick(ANSWER, body.model)
        context.model = model.name
        job = await Job.prepare(model, body.asked(), body.options(), "question", settings)
        found = await job.run(request.receive, context.deadline)
        return AnswerReply(model=model.name, version=model.version, answers=[answer_reply(each) for each in found])
