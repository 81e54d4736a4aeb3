"""What there is beside translating: descriptions, figures, readiness, and clients that go away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from service.api import events
from service.api.app import create_face
from service.api.life import Life
from service.runtime.errors import QueueFullError
from service.settings import Settings
from tests.service.fakes import FakeEngine, make_catalogue
from tests.service.replies import (
    PARAGRAPH,
    POSTED,
    STREAM,
    TEXT,
    TRANSLATE,
    check_problem,
    sample,
    until,
)


async def test_models_are_listed_and_described(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/models")).json()["models"]
    assert [(m["name"], m["version"], m["default"], m["explains"]) for m in listed] == [
        ("echo", "1.2", True, True),
        ("mute", "1.2", False, False),
    ]
    details = (await client.get("/v1/models/mute")).json()
    assert details.items() >= listed[1].items()
    assert (details["provider"], details["precision"], details["slots"]) == ("cpu", "fp32", 8)
    assert (details["limits"], details["decoding"]["beam_size"]) == ({"source": 24, "target": 40}, 2)
    check_problem(await client.get("/v1/models/none"), "unknown-model", "model")


async def test_the_description_is_true(client: httpx.AsyncClient) -> None:
    description = (await client.get("/v1/openapi.json")).json()
    assert sorted(description["paths"]) == sorted(["/v1/models", "/v1/models/{name}", *POSTED])
    schemas = description["components"]["schemas"]
    assert schemas["TranslateRequest"]["additionalProperties"] is False
    example = {
        name: field["examples"][0]
        for name, field in schemas["TranslateRequest"]["properties"].items()
        if "examples" in field
    }
    assert example == {"text": "A man is riding a bicycle.", "model": "translation-en-de"}
    one, several = schemas["TagRequest"]["properties"]["text"]["anyOf"]
    assert (one["maxLength"], several["maxItems"], several["items"]) == (20_000, 8, one)
    assert schemas["TranslateStreamRequest"]["properties"]["text"]["maxLength"] == 20_000
    assert [schema.get("maxItems") for schema in schemas["RecommendRequest"]["properties"]["session"]["anyOf"]] == [
        None,
        8,
    ]
    assert schemas["TranslateRequest"]["properties"]["beam_size"]["anyOf"][0]["maximum"] == 16
    for path in POSTED:
        replies = description["paths"][path]["post"]["responses"]
        assert set(replies) == {"200", "4XX", "5XX"}
        assert list(replies["4XX"]["content"]) == ["application/problem+json"]
        headers = [parameter["name"] for parameter in description["paths"][path]["post"]["parameters"]]
        assert headers == ["X-Request-Timeout", "X-Request-ID"]
    page = (await client.get("/v1/docs")).text
    for asset in ("/v1/docs/assets/swagger-ui-bundle.js", "/v1/docs/assets/swagger-ui.css"):
        assert asset in page
        assert (await client.get(asset)).status_code == 200
    assert "https://" not in page
    assert (await client.get("/")).headers["location"] == "/v1/docs"


async def test_the_description_can_be_turned_off(life: Life) -> None:
    transport = httpx.ASGITransport(create_face(life, Settings(docs=False)))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        for path in ("/v1/docs", "/v1/openapi.json", "/"):
            check_problem(await client.get(path), "not-found")


async def test_browsers_may_call_from_the_origins_that_are_set(life: Life) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    for settings, allowed in ((Settings(), None), (Settings(cors_origins=("https://a.example",)), "https://a.example")):
        transport = httpx.ASGITransport(create_face(life, settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            before = await client.options(TRANSLATE, headers=asked)
            reply = await client.post(TRANSLATE, json={"text": ""}, headers={"Origin": "https://a.example"})
        assert (before.status_code == 200) == (allowed is not None)
        assert reply.headers.get("access-control-allow-origin") == allowed


async def test_before_and_after_its_life_the_service_says_when_to_come_back(engine: FakeEngine) -> None:
    life = Life()
    transport = httpx.ASGITransport(create_face(life, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        check_problem(await client.post(TRANSLATE, json={"text": TEXT}), "not-ready")
        assert (life.ready, life.alive) == (False, True)
        assert (await client.get("/metrics")).status_code == 200
        life.start(make_catalogue(engine))
        assert life.ready
        assert (await client.post(TRANSLATE, json={"text": TEXT})).status_code == 200
        assert await life.drain(1)
        check_problem(await client.get("/v1/models"), "shutting-down")
        assert (life.ready, life.alive) == (False, True)
        life.fail()
        check_problem(await client.get("/v1/models"), "not-ready")
        assert (life.ready, life.alive) == (False, False)


async def test_draining_waits_for_what_was_accepted(client: httpx.AsyncClient, life: Life, engine: FakeEngine) -> None:
    engine.hold()
    accepted = asyncio.create_task(client.post(TRANSLATE, json={"text": TEXT}))
    await until(lambda: engine.seen)
    assert not await life.drain(0.01)
    engine.release()
    assert await life.drain(5)
    assert (await accepted).json()["translations"][0]["text"] == TEXT


async def test_engines_that_close_fail_what_still_waits(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    engine.hold()
    waiting = asyncio.create_task(client.post(TRANSLATE, json={"text": PARAGRAPH}))
    await until(lambda: len(engine.seen) == 3)
    await asyncio.to_thread(engine.close, drain=False)
    check_problem(await waiting, "shutting-down")


class Peer:
    """A client that can go away: the two ends of one ASGI call."""

    def __init__(self, app: ASGIApp, path: str, *, body: bytes, more: bool = False, reads: bool = True) -> None:
        self.reads = reads
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})
        self.sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "http_version": "1.1",
            "headers": [(b"content-type", b"application/json")],
        }
        self.call = asyncio.create_task(self._call(app, scope))

    async def _call(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        async def send(message: Any) -> None:
            self.sent.append(message)
            if not self.reads and message["type"] == "http.response.body":
                await asyncio.Event().wait()

        await app(scope, self.incoming.get, send)

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})


async def test_a_client_that_does_not_read_its_stream_is_given_up(
    life: Life, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_LINGER", 0.1)
    body = json.dumps({"text": PARAGRAPH}).encode()
    peer = Peer(create_face(life, Settings(deadline=0.1)), STREAM, body=body, reads=False)
    await asyncio.wait_for(peer.call, 5)
    assert [message["type"] for message in peer.sent] == ["http.response.start", "http.response.body"]
    assert peer.sent[1]["more_body"]
    assert all(ticket.future.done() for ticket in engine.tickets)
    assert life.in_flight == 0


async def test_a_websocket_is_refused(life: Life, settings: Settings) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await create_face(life, settings)({"type": "websocket", "path": TRANSLATE}, asyncio.Queue().get, send)
    assert sent == [{"type": "websocket.close"}]


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_a_client_that_goes_away_frees_what_it_asked(life: Life, engine: FakeEngine, path: str) -> None:
    engine.hold()
    peer = Peer(create_face(life, Settings()), path, body=json.dumps({"text": PARAGRAPH}).encode())
    await until(lambda: len(engine.seen) == 3)
    peer.leave()
    await asyncio.wait_for(peer.call, 5)
    assert all(ticket.future.cancelled() for ticket in engine.tickets)
    assert life.in_flight == 0


async def test_a_client_that_goes_away_in_the_middle_of_a_stream(life: Life, engine: FakeEngine) -> None:
    engine.pause_after = 2
    peer = Peer(create_face(life, Settings()), STREAM, body=json.dumps({"text": TEXT}).encode())
    await until(lambda: len(peer.sent) == 3)
    peer.leave()
    await asyncio.wait_for(peer.call, 5)
    assert engine.tickets[0].future.cancelled()
    assert b"".join(message.get("body", b"") for message in peer.sent).count(b"event: token") == 2
    assert life.in_flight == 0


async def test_a_body_that_never_ends_is_not_waited_for(life: Life, settings: Settings) -> None:
    peer = Peer(create_face(life, settings), TRANSLATE, body=b'{"text": "A', more=True)
    await asyncio.wait_for(peer.call, 5)
    assert (peer.sent[0]["status"], life.in_flight) == (408, 0)
    gone = Peer(create_face(life, settings), TRANSLATE, body=b'{"text": "A', more=True)
    gone.leave()
    await asyncio.wait_for(gone.call, 5)
    assert (gone.sent[0]["status"], life.in_flight) == (499, 0)


async def test_a_body_in_pieces_is_one_body_and_is_bounded_as_one(life: Life, settings: Settings) -> None:
    peer = Peer(create_face(life, settings), TRANSLATE, body=b'{"text": "A', more=True)
    peer.incoming.put_nowait({"type": "http.request", "body": b' man"}', "more_body": False})
    await asyncio.wait_for(peer.call, 5)
    assert json.loads(peer.sent[1]["body"])["translations"][0]["text"] == "A man"
    large = Peer(create_face(life, settings), TRANSLATE, body=b"a" * 150_000, more=True)
    large.incoming.put_nowait({"type": "http.request", "body": b"a" * 150_000, "more_body": True})
    await asyncio.wait_for(large.call, 5)
    assert large.sent[0]["status"] == 413


async def test_requests_are_counted_by_task_model_and_outcome(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    async def figures() -> list[float]:
        text = (await client.get("/metrics")).text
        count = "seqserve_request_duration_seconds_count"
        return [
            sample(text, count, task="translate", model="mute", outcome="ok"),
            sample(text, count, task="translate", model="mute", outcome="invalid"),
            sample(text, count, task="translate", model="", outcome="invalid"),
            sample(text, count, task="translate", model="mute", outcome="timeout"),
            sample(text, count, task="translate", model="mute", outcome="rejected"),
            sample(text, count, task="", model="", outcome="invalid"),
            sample(text, "seqserve_rejected_total", task="translate", reason="empty-text"),
            sample(text, "seqserve_preprocess_duration_seconds_count", task="translate", model="mute"),
            sample(text, "seqserve_tokens_total", model="mute", direction="input"),
        ]

    before = await figures()
    await client.post(TRANSLATE, json={"text": "A man", "model": "mute"})
    await client.post(TRANSLATE, json={"text": "", "model": "mute"})
    await client.post(TRANSLATE, json={"text": "A man", "model": "no such model"})
    await client.get("/v1/nothing/at/all")
    engine.error = QueueFullError()
    await client.post(TRANSLATE, json={"text": "A man", "model": "mute"})
    engine.error = None
    engine.hold()
    await client.post(TRANSLATE, json={"text": "A man", "model": "mute"}, headers={"X-Request-Timeout": "0.01"})
    after = await figures()
    tokens = len(engine.seen[0].inputs["source_ids"])
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 1, 1, 1, 1, 3, 3 * tokens]


async def test_the_gauges_tell_what_is_loaded_and_waiting(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    engine.hold()
    waiting = asyncio.create_task(client.post(TRANSLATE, json={"text": PARAGRAPH}))
    await until(lambda: len(engine.seen) == 3)
    text = (await client.get("/metrics")).text
    assert sample(text, "seqserve_queue_depth", model="echo") == 3
    assert sample(text, "seqserve_model_info", model="echo", version="1.2", precision="fp32", provider="cpu") == 1
    engine.release()
    assert (await waiting).status_code == 200


def test_a_service_whose_engine_has_ended_is_not_alive(life: Life, engine: FakeEngine) -> None:
    assert life.alive
    engine.close(drain=False)
    assert not life.alive, "an orchestrator must start another one"
