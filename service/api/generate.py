"""Routes of the task generate."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from contract.midi import TuneError, to_midi
from service.api.docs import request_headers
from service.api.errors import ProblemError
from service.api.events import EventStream
from service.api.gate import context_of
from service.api.job import Job
from service.api.life import Life
from service.api.schemas.generate import GenerateOneRequest, GenerateReply, GenerateRequest, generation_reply
from service.api.streaming import stream, stream_reply
from service.api.threads import TUNES
from service.kinds import GENERATE, Model
from service.settings import Settings
from service.tasks.generate import Composer, Passage, Prompt
from service.tasks.growing import GrowingParagraph

PATH = "/v1/generate"
SEED_HEADER = "X-Seed"
_STREAM_EXAMPLE = (
    'event: token\ndata: {"text":"M:6/8\\nK:D\\nA"}\n\nevent: token\ndata: {"text":"|d"}\n\n'
    'event: done\ndata: {"model":"music","version":"1.0.0","generations":[{"text":"M:6/8\\nK:D\\nA|d","seed":7,'
    '"score":-0.8,"length":3}]}\n\n'
)
_MIDI_REPLY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the tune as a MIDI file, repeats played and chord symbols accompanied",
        "content": {"audio/midi": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            SEED_HEADER: {
                "description": f"the tune's seed, with which {PATH} gives its text",
                "schema": {"type": "integer"},
            }
        },
    }
}


def add_generate_routes(app: FastAPI, life: Life, settings: Settings) -> None:
    """`POST /v1/generate`, `POST /v1/generate/stream` and `POST /v1/generate/midi`."""

    def pick(name: str | None, request: Request) -> Model[Composer]:
        model = life.catalogue.pick(GENERATE, name)
        context_of(request.scope).model = model.name
        return model

    async def generate(body: GenerateRequest, request: Request) -> GenerateReply:
        """Go on from one prompt or from a list of prompts."""
        model = pick(body.model, request)
        job = await Job.prepare(model, body.prompt, body.options(), "prompt", settings)
        return _reply(model, await job.run(request.receive, context_of(request.scope).deadline))

    async def generate_stream(body: GenerateOneRequest, request: Request) -> EventStream:
        """Go on from a prompt and send the text, which begins with it, as it grows."""
        model = pick(body.model, request)
        job = await Job.prepare(model, [body.prompt], body.options(), "prompt", settings)
        (work,) = job.works
        assert isinstance(work, Prompt)
        growing = GrowingParagraph(model.task.codec, [""], [work.text_ids])
        return await stream(job, growing, lambda found: _reply(model, found), request)

    async def generate_midi(body: GenerateOneRequest, request: Request) -> Response:
        """Go on from the beginning of a tune, and send all of it as a MIDI file."""
        model = pick(body.model, request)
        if not model.task.writes_tunes:
            raise ProblemError(
                "invalid-request", f"model {model.name!r} writes no tunes: choose one that does", "model"
            )
        deadline = context_of(request.scope).deadline
        job = await Job.prepare(model, [body.prompt], body.options(), "prompt", settings)
        (passage,) = await job.run(request.receive, deadline)
        headers = {
            SEED_HEADER: str(passage.seed),
            "content-disposition": f'attachment; filename="tune-{passage.seed}.mid"',
        }
        played = await TUNES.run(lambda: _play(passage), deadline)
        return Response(played, media_type="audio/midi", headers=headers)

    shared: dict[str, Any] = {"methods": ["POST"], "tags": ["generate"], "openapi_extra": request_headers()}
    told = stream_reply(PATH, _STREAM_EXAMPLE)
    app.router.add_api_route(PATH, generate, response_model_exclude_none=True, **shared)
    app.router.add_api_route(
        f"{PATH}/stream", generate_stream, status_code=200, response_class=EventStream, responses=told, **shared
    )
    app.router.add_api_route(f"{PATH}/midi", generate_midi, response_class=Response, responses=_MIDI_REPLY, **shared)


def _play(passage: Passage) -> bytes:
    """The MIDI file of what was written.

    Raises:
        ProblemError: it is no tune.
    """
    seeds = f"what seed {passage.seed} drew is no tune"
    if passage.tune is None:
        raise ProblemError("invalid-tune", f"{seeds}, it lacks a key or what a field says: take another seed")
    try:
        return to_midi(passage.tune)
    except TuneError as error:
        detail = f"{seeds} ({error}): take another seed, or a lower temperature; {PATH} gives its text"
        raise ProblemError("invalid-tune", detail) from error


def _reply(model: Model[Composer], found: list[Passage]) -> GenerateReply:
    generations = [generation_reply(each) for each in found]
    return GenerateReply(model=model.name, version=model.version, generations=generations)
