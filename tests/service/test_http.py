"""Translating over HTTP, through ASGI, over an engine without a model."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.api.app import create_face
from service.api.life import Life
from service.runtime.errors import EngineFailedError, QueueFullError, ShuttingDownError
from service.settings import Settings
from tests.service.fakes import FakeEngine, make_catalogue
from tests.service.replies import PARAGRAPH, STREAM, TEXT, TRANSLATE, check_problem, read_events, sample

FULL = "queue-full"


async def test_a_text_is_translated(client: httpx.AsyncClient) -> None:
    response = await client.post(TRANSLATE, json={"text": TEXT})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"model": "echo", "version": "1.2", "translations": [{"text": TEXT, "score": -0.5}]}


async def test_a_list_is_translated_in_its_order(client: httpx.AsyncClient) -> None:
    response = await client.post(TRANSLATE, json={"text": ["Two dogs!", PARAGRAPH, "Ein Mann"], "model": "mute"})
    reply = response.json()
    assert (reply["model"], [t["text"] for t in reply["translations"]]) == (
        "mute",
        ["Two dogs!", PARAGRAPH, "Ein Mann"],
    )


async def test_alternatives_tokens_and_attention_come_when_asked_for(client: httpx.AsyncClient) -> None:
    body = {"text": "A man", "alternatives": 1, "explain": True}
    (translation,) = (await client.post(TRANSLATE, json=body)).json()["translations"]
    (alternative,) = translation["alternatives"]
    assert (translation["text"], alternative["text"]) == ("A man", "A")
    assert "".join(translation["tokens"]).replace("▁", " ").strip() == "A man"
    attention = translation["attention"]
    assert attention["axes"] == ["target", "source"]
    assert attention["targets"] == [*translation["tokens"], "<eos>"]
    assert attention["sources"][-1] == {"text": "<eos>", "start": 5, "end": 5}
    assert len(attention["weights"]) == len(attention["targets"])
    assert {len(row) for row in attention["weights"]} == {len(attention["sources"])}
    assert len(alternative["attention"]["targets"]) == len(alternative["tokens"]) + 1


async def test_options_reach_the_engine(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    body = {"text": "A man", "beam_size": 3, "length_penalty": 0.5, "max_length": 9, "alternatives": 2}
    assert (await client.post(TRANSLATE, json=body)).status_code == 200
    search = engine.seen[-1].search
    assert (search.beam_size, search.length_penalty, search.max_length, search.alternatives) == (3, 0.5, 9, 3)


async def test_what_was_cut_is_said(client: httpx.AsyncClient) -> None:
    body = {"text": "dog " * 30, "truncate": True, "max_length": 3}
    (translation,) = (await client.post(TRANSLATE, json=body)).json()["translations"]
    assert (translation["truncated"], translation["unfinished"]) == (True, True)


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({"text": ""}, "empty-text", "text"),
        ({"text": " \n\t\u2003"}, "empty-text", "text"),
        ({"text": ["A man", " "]}, "empty-text", "text.1"),
        ({"text": []}, "invalid-request", "text"),
        ({"text": ["a"] * 9}, "invalid-request", "text"),
        ({"text": "word " * 10_000}, "input-too-long", "text"),
        ({"text": ["A man", "word " * 30]}, "input-too-long", "text.1"),
        ({"text": "Go on! " * 33}, "too-many-sentences", "text"),
        ({"text": 5}, "invalid-request", "text"),
        ({"text": None}, "invalid-request", "text"),
        ({"text": {"a": "b"}}, "invalid-request", "text"),
        ({"text": ["a", 5]}, "invalid-request", "text.1"),
        ({"text": [["a"]]}, "invalid-request", "text.0"),
        ({"text": "a", "beam": 1}, "invalid-request", "beam"),
        ({"text": "a", "beam_size": "2"}, "invalid-request", "beam_size"),
        ({"text": "a", "beam_size": 2.0}, "invalid-request", "beam_size"),
        ({"text": "a", "beam_size": True}, "invalid-request", "beam_size"),
        ({"text": "a", "beam_size": 0}, "invalid-request", "beam_size"),
        ({"text": "a", "beam_size": 17}, "beam-too-wide", "beam_size"),
        ({"text": "a", "beam_size": 9}, "beam-too-wide", "beam_size"),
        ({"text": "a", "length_penalty": float("nan")}, "invalid-request", "length_penalty"),
        ({"text": "a", "length_penalty": -1}, "invalid-request", "length_penalty"),
        ({"text": "a", "max_length": 41}, "invalid-request", "max_length"),
        ({"text": "a", "alternatives": 2, "beam_size": 2}, "invalid-request", "alternatives"),
        ({"text": "a", "explain": 1}, "invalid-request", "explain"),
        ({"text": "a", "explain": True, "model": "mute"}, "no-attention", "explain"),
        ({"text": "a", "model": "none"}, "unknown-model", "model"),
        ({"text": "a", "model": "x" * 2000}, "unknown-model", "model"),
        ({}, "invalid-request", "text"),
        ([], "invalid-request", "body"),
        ("text", "invalid-request", "body"),
    ],
)
@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_what_is_not_acceptable_is_refused_with_the_field(
    client: httpx.AsyncClient, path: str, body: Any, slug: str, field: str | None
) -> None:
    if path == STREAM and isinstance(body, dict) and isinstance(body.get("text"), list):
        slug, field = "invalid-request", "text"
    content = json.dumps(body).encode()
    response = await client.post(path, content=content, headers={"content-type": "application/json"})
    check_problem(response, slug, field)
    assert len(response.content) < 2500


async def test_every_fault_is_listed_up_to_a_point(client: httpx.AsyncClient) -> None:
    body = {"text": 5, **{f"field_{number}": 1 for number in range(30)}}
    problem = check_problem(await client.post(TRANSLATE, json=body), "invalid-request", "text")
    assert [fault["field"] for fault in problem["errors"]] == ["text", *(f"field_{number}" for number in range(9))]
    assert problem["detail"].endswith("and 21 more")


@pytest.mark.parametrize(
    ("content", "content_type", "slug"),
    [
        (b'{"text": "a"', "application/json", "invalid-json"),
        (b"", "application/json", "invalid-json"),
        (b"\xff\xfe", "application/json", "invalid-json"),
        (b'{"text": "half \\ud83d"}', "application/json", "invalid-json"),
        (b'{"text": "a", "\\ud83d": 1}', "application/json", "invalid-json"),
        (b"[" * 100_000, "application/json", "invalid-json"),
        (b'{"beam_size": ' + b"9" * 5000 + b"}", "application/json", "invalid-json"),
        (b'{"text": "a"}', "text/plain", "unsupported-media-type"),
        (b'{"text": "a"}', None, "unsupported-media-type"),
        (b"text=a", "application/x-www-form-urlencoded", "unsupported-media-type"),
        (b'{"text": "' + b"a" * 200_000 + b'"}', "application/json", "body-too-large"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, content: bytes, content_type: str | None, slug: str
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    check_problem(await client.post(TRANSLATE, content=content, headers=headers), slug)


@pytest.mark.parametrize(
    "text", ["🙂🙂", "<eos> <pad>", "\u200b", "\x00", "日本語。", "a\u0301", "?", "…", "\u202eabc"]
)
@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_strange_text_is_text(client: httpx.AsyncClient, path: str, text: str) -> None:
    assert (await client.post(path, json={"text": text})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "slug"),
    [
        ("GET", TRANSLATE, "method-not-allowed"),
        ("DELETE", "/v1/models", "method-not-allowed"),
        ("GET", "/v1/nothing", "not-found"),
        ("POST", "/translate", "not-found"),
        ("GET", "/v1/docs/assets/none.js", "not-found"),
        ("GET", "/v1/translate/", "not-found"),
    ],
)
async def test_there_is_nothing_elsewhere(client: httpx.AsyncClient, method: str, path: str, slug: str) -> None:
    problem = check_problem(await client.request(method, path), slug)
    assert path in problem["detail"]


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", ""])
async def test_a_deadline_is_a_number_of_seconds(client: httpx.AsyncClient, seconds: str) -> None:
    response = await client.post(TRANSLATE, json={"text": TEXT}, headers={"X-Request-Timeout": seconds})
    check_problem(response, "invalid-header", "X-Request-Timeout")


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_a_deadline_that_passes_frees_what_was_asked(
    client: httpx.AsyncClient, engine: FakeEngine, path: str
) -> None:
    engine.hold()
    response = await client.post(path, json={"text": PARAGRAPH}, headers={"X-Request-Timeout": "0.05"})
    check_problem(response, "deadline-exceeded")
    assert len(engine.tickets) == 3
    assert all(ticket.future.cancelled() for ticket in engine.tickets)


async def test_no_client_gets_more_time_than_the_service_allows(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    await client.post(TRANSLATE, json={"text": TEXT}, headers={"X-Request-Timeout": "1e9"})
    await client.post(TRANSLATE, json={"text": TEXT})
    asked, default = (request.deadline for request in engine.seen)
    assert asked < default


async def test_no_client_is_dropped_before_it_could_be_served(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    before = time.monotonic()
    response = await client.post(TRANSLATE, json={"text": TEXT}, headers={"X-Request-Timeout": "1e-300"})
    assert response.status_code == 200
    assert before + 0.1 <= engine.seen[-1].deadline <= time.monotonic() + 0.1


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (QueueFullError(), "queue-full"),
        (ShuttingDownError(), "shutting-down"),
        (EngineFailedError("a step failed"), "engine-failed"),
        (RuntimeError("secret"), "internal-error"),
    ],
)
async def test_what_the_engine_refuses_has_a_status(
    client: httpx.AsyncClient, engine: FakeEngine, path: str, error: Exception, slug: str
) -> None:
    engine.error = error
    response = await client.post(path, json={"text": TEXT})
    check_problem(response, slug)
    assert "secret" not in response.text
    assert response.headers.get("retry-after") == ("1" if response.status_code in (429, 503) else None)
    engine.error = None
    assert (await client.post(path, json={"text": TEXT})).status_code == 200


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_a_request_that_is_refused_midway_leaves_nothing_behind(
    client: httpx.AsyncClient, engine: FakeEngine, path: str
) -> None:
    engine.max_queue = 2
    engine.hold()
    check_problem(await client.post(path, json={"text": PARAGRAPH}), "queue-full")
    assert [ticket.future.cancelled() for ticket in engine.tickets] == [True, True]


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_while_the_queue_is_full_no_body_is_read(
    client: httpx.AsyncClient, engine: FakeEngine, path: str
) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"{")
        yield b"{"

    async def refused() -> float:
        return sample((await client.get("/metrics")).text, "seqserve_rejected_total", task="translate", reason=FULL)

    before = await refused()
    room, engine.max_queue = engine.max_queue, 0
    headers = {"content-type": "application/json"}
    response = await client.post(path, content=body(), headers=headers)
    assert "retry later" in check_problem(response, FULL)["detail"]
    assert response.headers["retry-after"] == "1"
    assert not read
    assert await refused() == before + 1
    # A connection that is closed at once might take a reply with it that came before all was read.
    check_problem(await client.post(path, content=body(), headers=headers | {"connection": "close"}), "invalid-json")
    engine.max_queue = room
    check_problem(await client.post(path, content=body(), headers=headers), "invalid-json")
    assert len(read) == 2


async def test_a_request_keeps_its_id(client: httpx.AsyncClient) -> None:
    given = await client.get("/v1/models", headers={"X-Request-ID": "my-id:7"})
    forged = await client.get("/v1/models", headers={"X-Request-ID": "a b\x7f"})
    again = await client.get("/v1/models")
    assert given.headers["x-request-id"] == "my-id:7"
    assert forged.headers["x-request-id"] not in ("a b\x7f", again.headers["x-request-id"])


@pytest.mark.parametrize("text", [TEXT, PARAGRAPH, "🙂 a", "  A man.  "])
async def test_a_stream_s_pieces_joined_are_the_plain_reply_s_text(client: httpx.AsyncClient, text: str) -> None:
    body = {"text": text, "explain": True}
    plain = (await client.post(TRANSLATE, json=body)).json()
    response = await client.post(STREAM, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    *pieces, (last, reply) = read_events(response.text)
    assert {name for name, _ in pieces} <= {"token"}
    assert "".join(piece["text"] for _, piece in pieces) == plain["translations"][0]["text"]
    assert (last, reply) == ("done", plain)


async def test_a_stream_that_fails_midway_says_so(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    engine.fail_after = 2
    events = read_events((await client.post(STREAM, json={"text": TEXT})).text)
    name, problem = events[-1]
    assert [name for name, _ in events[:-1]] == ["token", "token"]
    assert (name, problem["type"], problem["status"]) == ("error", "urn:seqserve:problem:engine-failed", 500)


@hypothesis_settings(max_examples=15)
@given(st.lists(st.sampled_from(["A man.", "Two dogs!", "Is it?", PARAGRAPH]), min_size=1, max_size=8))
def test_many_at_once_get_what_one_alone_gets(texts: list[str]) -> None:
    async def ask() -> list[str]:
        engine = FakeEngine()
        life = Life()
        life.start(make_catalogue(engine))
        transport = httpx.ASGITransport(create_face(life, Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            replies = await asyncio.gather(*(client.post(TRANSLATE, json={"text": text}) for text in texts))
        engine.close()
        assert life.in_flight == 0
        return [reply.json()["translations"][0]["text"] for reply in replies]

    assert asyncio.run(ask()) == texts
