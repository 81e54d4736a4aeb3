"""A text that is sent while it is written: the events of one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.api.context import RequestContext
from service.api.errors import CLIENT_GONE, ClientGoneError, as_problem
from service.api.events import MEDIA_TYPE, EventStream, event, piece_event
from service.api.gate import context_of
from service.api.job import Job
from service.api.waiting import Progress, follow
from service.runtime.requests import GenerateRequest, Generation
from service.tasks.growing import GrowingParagraph

Reply = Callable[[list[Any]], BaseModel]


def stream_reply(path: str, example: str) -> dict[int | str, dict[str, Any]]:
    """The description of a stream that ends with the reply of another route."""
    told = f"events `token` whose texts joined are the reply's, then one event `done` with the reply of {path}, or "
    content = {MEDIA_TYPE: {"schema": {}, "example": example}}
    return {200: {"description": f"{told}`error` with a problem document", "content": content}}


async def stream(
    job: Job[GenerateRequest, Generation, Any], paragraph: GrowingParagraph, reply: Reply, request: Request
) -> EventStream:
    """Have a job's one item written, and what is certain sent at once.

    Args:
        job: the item's; each of its rows writes a text.
        paragraph: these texts, which have yet to grow.
        reply: what is told in the end.
        request: whose stream it is.

    Raises:
        RefusalError: before the head is sent, so that it has a status of its own.
    """
    context = context_of(request.scope)
    requests = job.requests(context.deadline)
    progress = follow(job.model.task.engine, requests, request.receive, context.deadline)
    first = await anext(progress)
    return EventStream(_events(job, paragraph, reply, first, progress, context))


async def _events(
    job: Job[GenerateRequest, Generation, Any],
    paragraph: GrowingParagraph,
    reply: Reply,
    first: Progress,
    progress: AsyncGenerator[Progress],
    context: RequestContext,
) -> AsyncIterator[bytes]:
    """The events, text after text. What goes wrong after the head is an event as well."""
    generations: dict[int, Generation] = {}

    def heard(step: Progress) -> str:
        if step.generation is None:
            return paragraph.push(step.index, step.ids)
        generations[step.index] = step.generation
        return paragraph.finish(step.index, step.generation.hypotheses[0].token_ids)

    try:
        async with aclosing(progress):
            if text := heard(first):
                yield piece_event(text)
            async for step in progress:
                if text := heard(step):
                    yield piece_event(text)
        found = await job.results([generations[index] for index in sorted(generations)], context.deadline)
        yield event("done", reply(found).model_dump_json(exclude_none=True).encode())
    except ClientGoneError:
        context.status = CLIENT_GONE
    except Exception as error:  # noqa: BLE001  # the head is sent: it can only be told as an event
        problem = as_problem(error, context.id)
        context.status, context.reason = problem.kind.status, problem.kind.slug
        yield event("error", problem.document(context.id))
