"""Pictures and bodies that a service of captions does not take, and why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from service.api.forms import MOST_PARTS
from tests.contract.pictures import black, png
from tests.service.caption_fakes import FakeCaptionEngine, plain
from tests.service.replies import (
    CAPTION,
    CAPTION_PATHS,
    CAPTION_STREAM,
    OVERLAY,
    as_base64,
    check_problem,
    send_pictures,
)

RED = plain("red")
CUT, BOMB, WIDE = RED[:70], png(20_000, 20_000, black(20_000, 20_000)), plain("red", 10_000, 8)


@pytest.mark.parametrize("path", CAPTION_PATHS)
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
    caption_client: httpx.AsyncClient, path: str, content: bytes, message: str
) -> None:
    for response in (
        await send_pictures(caption_client, path, content),
        await caption_client.post(path, json={"image": as_base64(content)}),
    ):
        assert message in check_problem(response, "invalid-image", "image")["detail"]


async def test_a_bad_picture_among_good_ones_is_named(
    caption_client: httpx.AsyncClient, caption_engine: FakeCaptionEngine
) -> None:
    check_problem(await send_pictures(caption_client, CAPTION, RED, CUT, RED), "invalid-image", "image.1")
    body = {"image": [as_base64(RED), as_base64(RED), as_base64(CUT)]}
    check_problem(await caption_client.post(CAPTION, json=body), "invalid-image", "image.2")
    assert caption_engine.seen == []


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "image", "required"),
        ({"image": []}, "image", "at least 1"),
        ({"image": 5}, "image", "a picture or a list of pictures"),
        ({"image": None}, "image", "a picture or a list of pictures"),
        ({"image": [as_base64(RED), 5]}, "image.1", "in base64"),
        ({"image": [[as_base64(RED)]]}, "image.0", "in base64"),
        ({"image": "a photo"}, "image", "in base64"),
        ({"image": as_base64(RED)[:-3]}, "image", "in base64"),
        ({"image": as_base64(RED), "images": []}, "images", "unknown field"),
        ({"image": as_base64(RED), "beam_size": "2"}, "beam_size", "integer"),
        ({"image": as_base64(RED), "explain": 1}, "explain", "boolean"),
        ({"image": [as_base64(RED)] * 5}, "image", "the limit is 4"),
        ({"image": as_base64(RED), "max_length": 41}, "max_length", "limit of 40"),
    ],
)
async def test_a_json_body_that_does_not_fit_is_refused(
    caption_client: httpx.AsyncClient, body: dict[str, Any], field: str, message: str
) -> None:
    assert message in check_problem(await caption_client.post(CAPTION, json=body), "invalid-request", field)["detail"]


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
        ([FILE, ("beam_size", (None, "null"))], "beam_size", "integer"),
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
    caption_client: httpx.AsyncClient, parts: list[Any], field: str, message: str
) -> None:
    assert message in check_problem(await caption_client.post(CAPTION, files=parts), "invalid-request", field)["detail"]


@pytest.mark.parametrize("path", [CAPTION_STREAM, OVERLAY])
async def test_one_picture_is_not_several(caption_client: httpx.AsyncClient, path: str) -> None:
    for response in (
        await send_pictures(caption_client, path, RED, RED),
        await caption_client.post(path, json={"image": [as_base64(RED)]}),
    ):
        problem = check_problem(response, "invalid-request", "image")
        assert "one picture" in problem["detail"]
    check_problem(
        await send_pictures(caption_client, OVERLAY, RED, alternatives="1"), "invalid-request", "alternatives"
    )


async def test_a_model_s_name_is_a_text_whatever_it_looks_like(caption_client: httpx.AsyncClient) -> None:
    assert (
        "'123'"
        in check_problem(await send_pictures(caption_client, CAPTION, RED, model="123"), "unknown-model", "model")[
            "detail"
        ]
    )


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


@pytest.mark.parametrize("path", CAPTION_PATHS)
async def test_no_address_is_ever_fetched(
    caption_client: httpx.AsyncClient, path: str, bait: tuple[str, list[str]], caption_engine: FakeCaptionEngine
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
        as_json = await caption_client.post(path, json={"image": address})
        as_text = await caption_client.post(path, files=[("image", (None, address))])
        for response in (as_json, as_text):
            assert "URLs are never fetched" in check_problem(response, "invalid-request", "image")["detail"]
        check_problem(await caption_client.post(path, files=[("image", ("u.txt", address))]), "invalid-image", "image")
        check_problem(await send_pictures(caption_client, path, RED, model=address), "unknown-model", "model")
        check_problem(
            await caption_client.post(path, json={"image": as_base64(RED), "url": address}), "invalid-request", "url"
        )
    assert (fetched, caption_engine.seen) == ([], [])


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
    caption_client: httpx.AsyncClient, content: bytes, headers: dict[str, str], message: str
) -> None:
    problem = check_problem(await caption_client.post(CAPTION, content=content, headers=headers), "invalid-form")
    assert message in problem["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "application/x-www-form-urlencoded", None])
async def test_what_is_sent_as_something_else_is_refused(
    caption_client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    problem = check_problem(await caption_client.post(CAPTION, content=RED, headers=headers), "unsupported-media-type")
    assert problem["detail"].endswith("send Content-Type: application/json or multipart/form-data")


async def test_a_body_that_is_no_json_is_told_so(caption_client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    check_problem(await caption_client.post(CAPTION, content=b'{"image": ', headers=headers), "invalid-json")
