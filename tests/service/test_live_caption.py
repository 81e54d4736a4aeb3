"""Captions of a real service process on a real port, with a real bundle."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.contract.pictures import FORMATS, draw, save
from tests.service.live import TIMEOUT, connected, figure, idle, serve, until
from tests.service.replies import CAPTION, CAPTION_STREAM, OVERLAY, TRANSLATE, read_events

DRAWN = Path(__file__).resolve().parents[1] / "data" / "pictures" / "loose"
PICTURES = [path.read_bytes() for path in sorted(DRAWN.glob("*.jpg"))] + [save(draw(90, 70), form) for form in FORMATS]
OPTIONS: list[dict[str, Any]] = [{"beam_size": 1}, {}, {"beam_size": 3, "alternatives": 2}, {"max_length": 3}]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with serve(tmp_path_factory.mktemp("home"), body_timeout="3") as running:
        yield running


@pytest.fixture
async def client(service: tuple[subprocess.Popen[bytes], str]) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=service[1], timeout=TIMEOUT, limits=limits) as client:
        yield client


async def caption(client: httpx.AsyncClient, *pictures: bytes, **options: Any) -> list[dict[str, Any]]:
    fields = {name: json.dumps(value) for name, value in options.items()}
    response = await client.post(CAPTION, files=[("image", ("a", each)) for each in pictures], data=fields)
    assert response.status_code == 200, response.text
    return list(response.json()["captions"])


async def test_pictures_are_described(client: httpx.AsyncClient) -> None:
    found = await caption(client, *PICTURES[:6])
    assert len({each["text"] for each in found}) > 1
    shapes = ("circle", "square", "triangle")
    assert all(any(shape in each["text"].split() for shape in shapes) for each in found)
    assert all(each["score"] < 0 for each in found)
    (listed,) = [each for each in (await client.get("/v1/models")).json()["models"] if each["task"] == "caption"]
    assert listed["image"] == {"size": 32, "fit": "squeeze", "grid": [4, 4]}


@pytest.mark.parametrize("options", [*OPTIONS, {"explain": True}])
async def test_base64_and_forms_get_the_same_reply(client: httpx.AsyncClient, options: dict[str, Any]) -> None:
    as_form = await caption(client, *PICTURES[:4], **options)
    texts = [base64.b64encode(each).decode() for each in PICTURES[:4]]
    as_json = await client.post(CAPTION, json={"image": texts, **options})
    assert as_json.json()["captions"] == as_form


async def test_a_stream_s_pieces_joined_are_the_plain_reply(client: httpx.AsyncClient) -> None:
    for picture in PICTURES:
        files, fields = {"image": picture}, {"explain": "true", "beam_size": "1"}
        response = await client.post(CAPTION_STREAM, files=files, data=fields)
        *pieces, (name, reply) = read_events(response.text)
        assert (name, reply["captions"]) == ("done", await caption(client, picture, explain=True, beam_size=1))
        assert "".join(piece["text"] for _, piece in pieces) == reply["captions"][0]["text"]


async def test_an_overlay_has_a_panel_for_each_word(client: httpx.AsyncClient) -> None:
    (found,) = await caption(client, PICTURES[0])
    response = await client.post(OVERLAY, files={"image": PICTURES[0]})
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as sheet:
        assert sheet.height > 240 * -(-(1 + len(found["text"].split())) // 5)


async def test_two_hundred_at_once_get_what_each_gets_alone(client: httpx.AsyncClient) -> None:
    asked = [([PICTURES[n * k % len(PICTURES)] for k in range(1, 2 + n % 3)], OPTIONS[n % 4]) for n in range(160)]
    alone: dict[tuple[bytes, str], dict[str, Any]] = {}
    for options in OPTIONS:
        for picture in PICTURES:
            (alone[picture, str(options)],) = await caption(client, picture, **options)
    translations = [client.post(TRANSLATE, json={"text": "A red child sings on the street."}) for _ in range(40)]
    captions = [caption(client, *pictures, **options) for pictures, options in asked]
    replies = await asyncio.gather(*captions)
    translated = await asyncio.gather(*translations)
    for (pictures, options), found in zip(asked, replies, strict=True):
        assert found == [alone[picture, str(options)] for picture in pictures]
    assert len({reply.text for reply in translated}) == 1
    await until(lambda: idle(client))


async def test_clients_that_leave_midway_leave_nothing_behind(
    client: httpx.AsyncClient, service: tuple[subprocess.Popen[bytes], str]
) -> None:
    body = b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n' + PICTURES[0] + b"\r\n--x--\r\n"
    head = f"POST {CAPTION} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    sent = head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body
    for part in (len(sent) // 2, len(sent)):
        for _ in range(10):
            async with connected(service[1]) as (_, writer):
                writer.write(sent[:part])
                await writer.drain()
    await until(lambda: idle(client))
    assert len(await caption(client, PICTURES[0])) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of a process")
async def test_many_large_pictures_at_once_take_no_more_than_two_do(
    client: httpx.AsyncClient, service: tuple[subprocess.Popen[bytes], str]
) -> None:
    large = save(Image.new("RGBA", (5_000, 4_000)), "PNG", compress_level=1)
    await caption(client, PICTURES[0])
    before = _peak(service[0].pid)
    assert len(await asyncio.gather(*(caption(client, large) for _ in range(6)))) == 6
    # Each takes 160 MB while it is reduced.
    assert _peak(service[0].pid) - before < 500


def _peak(supervisor: int) -> int:
    """The most memory that a worker of the service ever took, in MiB."""
    processes = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    status = [Path(f"/proc/{process}/status").read_text() for process in processes]
    return max(int(line.split()[1]) // 1024 for each in status for line in each.splitlines() if "VmHWM" in line)


async def test_a_stop_signal_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    with serve(tmp_path) as (process, url):
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits) as client:
            alone = await caption(client, *PICTURES, beam_size=8)
            accepted = [asyncio.create_task(caption(client, *PICTURES, beam_size=8)) for _ in range(8)]

            async def all_accepted() -> bool:
                return await figure(client, "seqserve_preprocess_duration_seconds_count") == 9

            await until(all_accepted)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.gather(*accepted) == [alone] * 8
        assert await asyncio.to_thread(process.wait, TIMEOUT) == 0
