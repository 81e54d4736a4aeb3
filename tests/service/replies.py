"""What tests of the HTTP face ask for, and how they read what they get."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from service.api.errors import KINDS

TRANSLATE, STREAM = "/v1/translate", "/v1/translate/stream"
CAPTION, CAPTION_STREAM, OVERLAY = "/v1/caption", "/v1/caption/stream", "/v1/caption/overlay"
CAPTION_PATHS = (CAPTION, CAPTION_STREAM, OVERLAY)
GENERATE, GENERATE_STREAM, MIDI = "/v1/generate", "/v1/generate/stream", "/v1/generate/midi"
GENERATE_PATHS = (GENERATE, GENERATE_STREAM, MIDI)
COMPLETE_IMAGE, UPSCALE = "/v1/complete-image", "/v1/upscale"
CLASSIFY, TAG, RECOMMEND, ANSWER = "/v1/classify", "/v1/tag", "/v1/recommend", "/v1/answer"
POSTED = (
    TRANSLATE,
    STREAM,
    *CAPTION_PATHS,
    *GENERATE_PATHS,
    COMPLETE_IMAGE,
    UPSCALE,
    CLASSIFY,
    TAG,
    RECOMMEND,
    ANSWER,
)
"""Every route that takes a body."""
TEXT = "A man is riding."
PARAGRAPH = "A man is riding. Two dogs!\n\nIs the girl reading?"


def check_problem(response: httpx.Response, slug: str, field: str | None = None) -> dict[str, Any]:
    """A reply is a problem document of a kind, and says what to change."""
    kind = KINDS[slug]
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["title"]) == (f"urn:seqserve:problem:{slug}", kind.title)
    assert response.status_code == problem["status"] == kind.status
    assert problem.get("field") == field
    assert problem["request_id"] == response.headers["x-request-id"]
    assert len(problem["detail"]) > 20
    return dict(problem)


async def send_pictures(client: httpx.AsyncClient, path: str, *pictures: bytes, **fields: str) -> httpx.Response:
    """Pictures as the files of a form."""
    return await client.post(path, files=[("image", ("a.png", each)) for each in pictures], data=fields)


def as_base64(picture: bytes) -> str:
    """A picture as JSON holds it."""
    return base64.b64encode(picture).decode()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # a thread sets no event of this loop
            await asyncio.sleep(0.001)


def read_events(body: str) -> list[tuple[str, dict[str, Any]]]:
    events = []
    for block in body.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def sample(text: str, name: str, **labels: str) -> float:
    """The value of one line of Prometheus' text format; 0 where there is none yet."""
    for line in text.splitlines():
        key, _, value = line.rpartition(" ")
        if key.startswith((f"{name}{{", f"{name} ")) and all(f'{k}="{v}"' in key for k, v in labels.items()):
            return float(value)
    return 0.0
