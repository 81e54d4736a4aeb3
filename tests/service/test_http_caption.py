"""Captioning over HTTP, through ASGI, over an engine without a model."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import numpy as np
import pytest

from service.api.app import create_face
from service.api.forms import MOST_PARTS
from service.api.life import Life
from service.catalogue import Catalogue
from service.settings import Settings
from service.tasks.limits import RequestLimits
from tests.contract.pictures import black, draw, png, save
from tests.service.caption_fakes import COLOURS, GRID, FakeCaptionEngine, make_captioner, plain
from tests.service.fakes import SENTENCES
from tests.service.replies import CAPTION, CAPTION_STREAM, OVERLAY, check_problem, read_events, sample, until

PATHS = (CAPTION, CAPTION_STREAM, OVERLAY)
RED = plain("red")
SEEN = {"width": 60, "height": 40, "box": {"left": 0, "top": 0, "right": 60, "bottom": 40}}
REPLY = {"model": "seer", "version": "1.2", "captions": [{"text": SENTENCES[1], "score": -0.5, "image": SEEN}]}


@pytest.fixture
def engine() -> Iterator[FakeCaptionEngine]:
    engine = FakeCaptionEngine()
    yield engine
    engine.close(drain=False)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        max_images=4, max_image_bytes=50_000, max_upload_bytes=200_000, max_held_bytes=300_000, max_body_bytes=1000
    )


@pytest.fixture
async def client(engine: FakeCaptionEngine, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    life = Life()
    limits = RequestLimits(image_bytes=settings.max_image_bytes)
    life.start(Catalogue([make_captioner(engine, limits=limits), make_captioner(engine, "blind", attention=False)], {}))
    transport = httpx.ASGITransport(create_face(life, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client
    assert life.in_flight == 0


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def send(client: httpx.AsyncClient, path: str, *pictures: bytes, **fields: str) -> httpx.Response:
    return await client.post(path, files=[("image", ("a.png", each)) for each in pictures], data=fields)


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"image": text(RED)}},
        {"json": {"image": [text(RED)]}},
        {"json": {"image": f"data:image/png;base64,{text(RED)}"}},
        {"json": {"image": "\n".join(text(RED)[i : i + 76] for i in range(0, len(text(RED)), 76))}},
        {"files": {"image": RED}},
        {"files": {"image": ("photo of mine.jpg", RED, "application/octet-stream")}},
    ],
)
async def test_however_it_is_sent_a_picture_is_described(client: httpx.AsyncClient, request_: dict[str, Any]) -> None:
    response = await client.post(CAPTION, **request_)
    assert response.status_code == 200
    assert response.json() == REPLY


async def test_several_pictures_are_described_in_their_order(client: httpx.AsyncClient) -> None:
    pictures = [plain(colour) for colour in reversed(COLOURS)]
    form = await send(client, CAPTION, *pictures, model="blind")
    as_json = await client.post(CAPTION, json={"image": [text(each) for each in pictures], "model": "blind"})
    assert form.json() == as_json.json()
    assert (form.json()["model"], [each["text"] for each in form.json()["captions"]]) == ("blind", SENTENCES[::-1])


async def test_options_reach_the_engine_either_way(client: httpx.AsyncClient, engine: FakeCaptionEngine) -> None:
    options = {"beam_size": 3, "length_penalty": 0.5, "max_length": 9, "alternatives": 2}
    assert (await client.post(CAPTION, json={"image": text(RED), **options})).status_code == 200
    assert (await send(client, CAPTION, RED, **{name: str(value) for name, value in options.items()})).is_success
    for request in engine.seen:
        search = request.search
        assert (search.beam_size, search.length_penalty, search.max_length, search.alternatives) == (3, 0.5, 9, 3)


async def test_alternatives_and_attention_come_when_asked_for(client: httpx.AsyncClient) -> None:
    (caption,) = (await send(client, CAPTION, RED, explain="true", alternatives="1")).json()["captions"]
    (alternative,) = caption["alternatives"]
    for each in (caption, alternative):
        attention = each["attention"]
        assert attention["axes"] == ["target", "rows", "columns"]
        assert attention["grid"] == list(GRID)
        assert " ".join(attention["targets"]) == each["text"]
        assert np.shape(attention["weights"]) == (len(attention["targets"]), *GRID)
        assert np.allclose(np.sum(attention["weights"], axis=(1, 2)), 1, atol=1e-4)


async def test_where_a_picture_lies_on_its_side_it_is_the_upright_one_that_is_told(client: httpx.AsyncClient) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    (caption,) = (await send(client, CAPTION, save(draw(60, 40), "JPEG", exif=exif))).json()["captions"]
    assert (caption["image"]["width"], caption["image"]["height"]) == (40, 60)


@pytest.mark.parametrize("how", ["form", "json"])
async def test_a_stream_s_pieces_joined_are_the_plain_reply_s_text(client: httpx.AsyncClient, how: str) -> None:
    if how == "form":
        plain_reply, response = [await send(client, path, RED, explain="true") for path in (CAPTION, CAPTION_STREAM)]
    else:
        body = {"image": text(RED), "explain": True}
        plain_reply, response = [await client.post(path, json=body) for path in (CAPTION, CAPTION_STREAM)]
    assert response.headers["content-type"].startswith("text/event-stream")
    *pieces, (last, reply) = read_events(response.text)
    assert len(pieces) > 3
    assert {name for name, _ in pieces} == {"token"}
    assert "".join(piece["text"] for _, piece in pieces) == SENTENCES[1]
    assert (last, reply) == ("done", plain_reply.json())


async def test_an_overlay_is_one_png(client: httpx.AsyncClient) -> None:
    form = await send(client, OVERLAY, RED, beam_size="1")
    as_json = await client.post(OVERLAY, json={"image": text(RED), "beam_size": 1})
    assert (form.status_code, form.headers["content-type"]) == (200, "image/png")
    assert form.content == as_json.content
    assert form.content.startswith(b"\x89PNG")


async def test_an_overlay_needs_attention(client: httpx.AsyncClient) -> None:
    problem = check_problem(await send(client, OVERLAY, RED, model="blind"), "no-attention", "model")
    assert "choose a model that has it" in problem["detail"]
    check_problem(await send(client, CAPTION, RED, model="blind", explain="true"), "no-attention", "explain")


CUT, BOMB, WIDE = RED[:70], png(20_000, 20_000, black(20_000, 20_000)), plain("red", 10_000, 8)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (CUT, "broken"),
        (BOMB, "20000 × 20000 pixels"),
        (WIDE, "10000 × 8 pixels"),
        (plain("red", 1, 1), "1 × 1 pixels"),
        (png(0, 0), "0 × 0 pixels"),
    ],
)
async def test_what_is_no_picture_is_refused(
    client: httpx.AsyncClient, path: str, content: bytes, message: str
) -> None:
    for response in (await send(client, path, content), await client.post(path, json={"image": text(content)})):
        assert message in check_problem(response, "invalid-image", "image")["detail"]


async def test_a_bad_picture_among_good_ones_is_named(client: httpx.AsyncClient, engine: FakeCaptionEngine) -> None:
    check_problem(await send(client, CAPTION, RED, CUT, RED), "invalid-image", "image.1")
    body = {"image": [text(RED), text(RED), text(CUT)]}
    check_problem(await client.post(CAPTION, json=body), "invalid-image", "image.2")
    assert engine.seen == []


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "image", "required"),
        ({"image": []}, "image", "at least 1"),
        ({"image": 5}, "image", "a picture or a list of pictures"),
        ({"image": None}, "image", "a picture or a list of pictures"),
        ({"image": [text(RED), 5]}, "image.1", "in base64"),
        ({"image": [[text(RED)]]}, "image.0", "in base64"),
        ({"image": "a photo"}, "image", "in base64"),
        ({"image": text(RED)[:-3]}, "image", "in base64"),
        ({"image": text(RED), "images": []}, "images", "unknown field"),
        ({"image": text(RED), "beam_size": "2"}, "beam_size", "integer"),
        ({"image": text(RED), "explain": 1}, "explain", "boolean"),
        ({"image": [text(RED)] * 5}, "image", "the limit is 4"),
        ({"image": text(RED), "max_length": 41}, "max_length", "limit of 40"),
    ],
)
async def test_a_json_body_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], field: str, message: str
) -> None:
    assert message in check_problem(await client.post(CAPTION, json=body), "invalid-request", field)["detail"]


FILE = ("image", ("a.png", RED))


@pytest.mark.parametrize(
    ("parts", "field", "message"),
    [
        ([("beam_size", (None, "2"))], "image", "required"),
        ([("image", (None, "photo.jpg"))], "image", "a file where the body is a form"),
        ([FILE, ("image", (None, "not base64"))], "image.1", "in base64"),
        ([FILE, ("beam_size", (None, "two"))], "beam_size", "integer"),
        ([FILE, ("beam_size", (None, "2.5"))], "beam_size", "integer"),
        ([FILE, ("beam_size", (None, ""))], "beam_size", "integer"),
        ([FILE, ("beam_size", (None, "9" * 5000))], "beam_size", "integer"),
        ([FILE, ("length_penalty", (None, "NaN"))], "length_penalty", "finite"),
        ([FILE, ("explain", (None, "yes"))], "explain", "boolean"),
        ([FILE, ("explain", (None, "[" * 900))], "explain", "boolean"),
        ([FILE, ("beam_size", ("b.txt", b"2"))], "beam_size", "sent as a file"),
        ([FILE, ("beam_size", (None, "2")), ("beam_size", (None, "2"))], "beam_size", "more than once"),
        ([FILE, ("model", (None, b"\xff\xfe"))], "model", "not UTF-8"),
        ([FILE, ("text", (None, "a"))], "text", "unknown field"),
        ([FILE] * 5, "image", "the limit is 4"),
    ],
)
async def test_a_form_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, parts: list[Any], field: str, message: str
) -> None:
    assert message in check_problem(await client.post(CAPTION, files=parts), "invalid-request", field)["detail"]


@pytest.mark.parametrize("path", [CAPTION_STREAM, OVERLAY])
async def test_one_picture_is_not_several(client: httpx.AsyncClient, path: str) -> None:
    for response in (await send(client, path, RED, RED), await client.post(path, json={"image": [text(RED)]})):
        problem = check_problem(response, "invalid-request", "image")
        assert "one picture" in problem["detail"]
    check_problem(await send(client, OVERLAY, RED, alternatives="1"), "invalid-request", "alternatives")


async def test_a_model_s_name_is_a_text_whatever_it_looks_like(client: httpx.AsyncClient) -> None:
    assert "'123'" in check_problem(await send(client, CAPTION, RED, model="123"), "unknown-model", "model")["detail"]


@pytest.fixture
def bait() -> Iterator[tuple[str, list[str]]]:
    """A server of pictures, and what was fetched of it."""
    fetched: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(RED)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.png", fetched
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", PATHS)
async def test_no_address_is_ever_fetched(
    client: httpx.AsyncClient, path: str, bait: tuple[str, list[str]], engine: FakeCaptionEngine
) -> None:
    url, fetched = bait
    for address in (
        url,
        f" {url}",
        url.upper(),
        "https://example.org/a.jpg",
        "file:///etc/passwd",
        "data:text/plain,a",
    ):
        as_json = await client.post(path, json={"image": address})
        as_text = await client.post(path, files=[("image", (None, address))])
        for response in (as_json, as_text):
            assert "URLs are never fetched" in check_problem(response, "invalid-request", "image")["detail"]
        check_problem(await client.post(path, files=[("image", ("u.txt", address))]), "invalid-image", "image")
        check_problem(await send(client, path, RED, model=address), "unknown-model", "model")
        check_problem(await client.post(path, json={"image": text(RED), "url": address}), "invalid-request", "url")
    assert (fetched, engine.seen) == ([], [])


BOUNDARY = {"content-type": "multipart/form-data; boundary=x"}
PART = b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n' + RED + b"\r\n"


@pytest.mark.parametrize(
    ("content", "headers", "message"),
    [
        (PART + b"--x--\r\n", {"content-type": "multipart/form-data"}, "names no boundary"),
        (PART + b"--x--\r\n", {"content-type": "multipart/form-data; boundary=" + "x" * 300}, "cannot be read"),
        (PART, BOUNDARY, "ends before its last boundary"),
        (b"", BOUNDARY, "ends before its last boundary"),
        (PART[:-9], BOUNDARY, "ends before its last boundary"),
        (b"nothing of the kind", BOUNDARY, "cannot be read"),
        (b"--x\r\nno colon\r\n\r\n\r\n--x--\r\n", BOUNDARY, "cannot be read"),
        (b"--x\r\na: b\r\n\r\nc\r\n--x--\r\n", BOUNDARY, "part 1 of the form has no name"),
        (b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n' * (MOST_PARTS + 1), BOUNDARY, "1000 parts"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], message: str
) -> None:
    problem = check_problem(await client.post(CAPTION, content=content, headers=headers), "invalid-form")
    assert message in problem["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "application/x-www-form-urlencoded", None])
async def test_what_is_sent_as_something_else_is_refused(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    problem = check_problem(await client.post(CAPTION, content=RED, headers=headers), "unsupported-media-type")
    assert problem["detail"].endswith("send Content-Type: application/json or multipart/form-data")


async def test_a_body_that_is_no_json_is_told_so(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    check_problem(await client.post(CAPTION, content=b'{"image": ', headers=headers), "invalid-json")


async def test_pictures_have_limits_of_their_own(client: httpx.AsyncClient) -> None:
    problem = check_problem(await send(client, CAPTION, RED, RED + bytes(50_000)), "body-too-large", "image.1")
    assert "the limit is 50000" in problem["detail"]
    check_problem(await send(client, CAPTION, *[bytes(49_000)] * 5), "body-too-large")
    # Beside pictures, what is not sent to them keeps the usual limit.
    headers = {"content-type": "application/json"}
    check_problem(await client.post("/v1/translate", content=bytes(1001), headers=headers), "body-too-large")
    assert (await send(client, CAPTION, plain("red", 200, 200, "GIF") + bytes(2000))).status_code == 200


async def test_what_all_hold_together_is_bounded_and_given_back(
    client: httpx.AsyncClient, engine: FakeCaptionEngine
) -> None:
    engine.hold()
    large = RED + bytes(45_000)
    waiting = [asyncio.ensure_future(send(client, CAPTION, large, large, large)) for _ in range(2)]
    await until(lambda: len(engine.tickets) == 6)
    refused = await send(client, CAPTION, large)
    assert "are being held: retry later" in check_problem(refused, "queue-full")["detail"]
    assert refused.headers["retry-after"] == "1"
    engine.release()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    for _ in range(5):
        assert (await send(client, CAPTION, large, large)).status_code == 200


async def test_a_deadline_that_passes_frees_what_was_asked(
    client: httpx.AsyncClient, engine: FakeCaptionEngine
) -> None:
    engine.hold()
    for path in PATHS:
        response = await client.post(path, files=[FILE], headers={"X-Request-Timeout": "0.05"})
        check_problem(response, "deadline-exceeded")
    assert all(ticket.future.cancelled() for ticket in engine.tickets)


async def test_a_picture_s_time_is_told_by_stages(client: httpx.AsyncClient) -> None:
    decoded = "seqserve_preprocess_duration_seconds_count"
    before = (await client.get("/metrics")).text
    await send(client, CAPTION, RED, plain("lime"))
    after = (await client.get("/metrics")).text
    assert sample(after, decoded, task="caption", model="seer") == sample(before, decoded, task="caption") + 1
    read = [sample(each, "seqserve_tokens_total", model="seer", direction="input") for each in (before, after)]
    assert read[1] - read[0] == 2 * GRID[0] * GRID[1]


async def test_models_tell_how_they_look(client: httpx.AsyncClient) -> None:
    (listed, _) = (await client.get("/v1/models")).json()["models"]
    assert (listed["task"], listed["explains"]) == ("caption", True)
    assert listed["image"] == {"size": 32, "fit": "squeeze", "grid": [2, 3]}
    assert listed["limits"] == {"target": 40}
    assert (await client.get("/v1/models/blind")).json()["image"] == listed["image"]


async def test_both_bodies_are_described(client: httpx.AsyncClient) -> None:
    description = (await client.get("/v1/openapi.json")).json()
    bodies = {path: description["paths"][path]["post"]["requestBody"]["content"] for path in PATHS}
    assert all(list(body) == ["application/json", "multipart/form-data"] for body in bodies.values())
    fields = description["components"]["schemas"]["CaptionRequest"]["properties"]
    one, several = fields["image"]["anyOf"]
    assert (one["contentEncoding"], several["maxItems"], several["items"]) == ("base64", 4, one)
    form = bodies[CAPTION]["multipart/form-data"]["schema"]
    assert (form["required"], form["additionalProperties"]) == (["image"], False)
    assert set(form["properties"]) == set(fields)
    assert form["properties"]["image"]["items"] == {"type": "string", "format": "binary"}
    assert (form["properties"]["beam_size"]["type"], form["properties"]["beam_size"]["maximum"]) == ("integer", 16)
    single = bodies[OVERLAY]["multipart/form-data"]["schema"]["properties"]
    assert (single["image"]["format"], "explain" in single) == ("binary", False)
    replies = description["paths"][OVERLAY]["post"]["responses"]
    assert list(replies["200"]["content"]) == ["image/png"]
    assert list(replies["4XX"]["content"]) == ["application/problem+json"]
    json.dumps(description)
