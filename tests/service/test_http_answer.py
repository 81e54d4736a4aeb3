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
    async with served((answerer(tmp_path),), Settings(max_items=20, max_explained_items=3)) as client:
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


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({"question": "Where is the Zebra?"}, "unknown-words", "question"),
        ({"story": [*TOLD, "Mary ate."]}, "unknown-words", "story.2"),
        ({"story": [TOLD, [*TOLD, "Ben went."]], "question": ["Where?"] * 2}, "unknown-words", "story.1.2"),
        ({"question": ["Where?", "Why?"]}, "unknown-words", "question.1"),
        ({"story": []}, "empty-text", "story"),
        ({"story": [TOLD, []], "question": ["Where?"] * 2}, "empty-text", "story.1"),
        ({"story": [*TOLD, " "]}, "empty-text", "story.2"),
        ({"story": ["?!"]}, "empty-text", "story.0"),
        ({"question": ""}, "empty-text", "question"),
        ({"story": TOLD[:1] * 1001}, "input-too-long", "story"),
        ({"story": ["Mary went to the the the garden."]}, "input-too-long", "story.0"),
        ({"question": "Where " * 7}, "input-too-long", "question"),
        ({"question": "x" * 20_001}, "input-too-long", "question"),
        ({"story": [TOLD] * 3, "question": ["Where?"] * 2}, "invalid-request", "story"),
        ({"story": "Mary went."}, "invalid-request", "story"),
        ({"story": [1]}, "invalid-request", "story.0"),
        ({"story": [TOLD, "Mary went."]}, "invalid-request", "story.1"),
        ({"story": [["Mary", None]]}, "invalid-request", "story.0.1"),
        ({"question": []}, "invalid-request", "question"),
        ({"question": ["Where?"] * 21}, "invalid-request", "question"),
        ({"question": ["Where?"] * 4, "explain": True}, "invalid-request", "explain"),
        ({"top_k": 0}, "invalid-request", "top_k"),
        ({"hops": 2}, "invalid-request", "hops"),
        ({"model": "rater"}, "unknown-model", "model"),
    ],
)
async def test_what_is_not_acceptable_is_refused_with_the_field(
    client: httpx.AsyncClient, body: dict[str, Any], slug: str, field: str
) -> None:
    asked = {"story": TOLD, "question": "Where is Mary?"}
    check_problem(await client.post(ANSWER, json=asked | body), slug, field)


async def test_a_story_without_a_question_is_refused(client: httpx.AsyncClient) -> None:
    check_problem(await client.post(ANSWER, json={"story": TOLD}), "invalid-request", "question")
