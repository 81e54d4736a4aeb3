"""Questions about stories over HTTP, through ASGI, over an engine without a model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.service.one_shot_fakes import answerer
from tests.service.replies import ANSWER, check_problem
from tests.service.serving import served

TOLD = ["Mary went to the kitchen.", "John moved to the garden."]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a model that answers questions."""
    async with served((answerer(tmp_path),), Settings()) as client:
        yield client


async def test_a_question_is_answered(client: httpx.AsyncClient) -> None:
    response = await client.post(ANSWER, json={"story": TOLD, "question": "Where is Mary?", "top_k": 2})
    assert response.status_code == 200
    reply = response.json()
    (answered,) = reply.pop("answers")
    assert reply == {"model": "teller", "version": "3"}
    assert list(answered) == ["text", "score", "answers"]
    assert [each["text"] for each in answered["answers"]] == ["kitchen", "garden"]
    assert {"text": answered["text"], "score": answered["score"]} == answered["answers"][0]
    assert answered["score"] == pytest.approx(0.9094, abs=1e-4)


async def test_questions_are_about_one_story_or_each_about_its_own(client: httpx.AsyncClient) -> None:
    async def texts(**body: Any) -> list[str]:
        return [each["text"] for each in (await client.post(ANSWER, json=body)).json()["answers"]]

    questions = ["Where is John?", "Where is Mary?"]
    assert await texts(story=TOLD, question=questions) == ["garden", "kitchen"]
    assert await texts(story=[TOLD], question=questions) == ["garden", "kitchen"]
    assert await texts(story=[TOLD[:1], TOLD], question=questions) == ["nowhere", "kitchen"]


async def test_the_last_sentences_of_a_story_are_read_and_shown(client: httpx.AsyncClient) -> None:
    body = {"story": [*TOLD, *TOLD], "question": "Where is Mary?", "explain": True}
    (answered,) = (await client.post(ANSWER, json=body)).json()["answers"]
    assert answered["truncated"] is True
    assert answered["attention"] == {
        "axes": ["hops", "sentences"],
        "sources": [{"text": TOLD[place % 2], "position": place} for place in (1, 2, 3)],
        "weights": [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]],
    }
    check_problem(await client.post(ANSWER, json=body | {"truncate": False}), "input-too-long", "story")
