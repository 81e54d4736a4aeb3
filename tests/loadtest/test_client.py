"""The client and the watch over a server's processes, on a small server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from loadtest.bench.client import ReplyError, _post_all, _post_at
from loadtest.bench.server import ServerError, run_server

SERVER = """
import http.server, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler)
ballast = bytes(range(256)) * 100_000
server.serve_forever()
"""


@asynccontextmanager
async def echo(status: bytes = b"200 OK", *, most: list[int] | None = None) -> AsyncIterator[str]:
    """Replies with the request's body; `most` collects how many requests were open at once."""
    open_now = 0
    serving: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            open_now += 1
            if most is not None:
                most.append(open_now)
            await asyncio.sleep(0.001 * (length % 3))
            open_now -= 1
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, length, body))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await answer(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/translate"
    await asyncio.gather(*(task for task in serving if task))


async def test_replies_stand_in_the_order_of_the_requests() -> None:
    bodies = [json.dumps({"text": "ß" * (index % 7), "index": index}).encode() for index in range(50)]
    most: list[int] = []
    async with echo(most=most) as url:
        exchange = await _post_all(url, bodies, 8, "application/json")
    assert exchange.replies == bodies
    assert max(most) == 8
    assert exchange.seconds >= max(exchange.latencies) >= min(exchange.latencies) > 0
    assert sum(exchange.latencies) <= 8 * exchange.seconds


async def test_requests_at_instants_do_not_wait_for_those_before() -> None:
    bodies = [b"x" * (1 + index % 5) for index in range(30)]
    most: list[int] = []
    async with echo(most=most) as url:
        exchange = await _post_at(url, bodies, [0.0] * 20 + [0.05] * 10, "application/json")
    assert exchange.replies == bodies
    assert max(most) > 1
    assert exchange.seconds >= 0.05
    assert min(exchange.latencies) > 0


async def test_anything_but_200_is_an_error() -> None:
    async with echo(b"429 Too Many Requests") as url:
        with pytest.raises(ReplyError, match=r'answered 429: {"text": "a"}$'):
            await _post_all(url, [b'{"text": "a"}'], 1, "application/json")
        with pytest.raises(ReplyError, match="answered 429"):
            await _post_at(url, [b"{}"] * 3, [0.0, 0.0, 0.1], "application/json")


async def test_a_connection_that_is_closed_is_an_error() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ReplyError, match="closed a connection"):
            await _post_all(url, [b"{}"] * 3, 2, "application/json")


async def test_a_connection_that_was_closed_while_it_was_free_is_not_asked_again() -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + await reader.readexactly(1))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        exchange = await asyncio.wait_for(_post_at(url, [b"a", b"b"], [0.0, 0.3], "application/json"), 30)
    assert exchange.replies == [b"a", b"b"]


def test_a_server_is_watched_from_its_start_to_its_end() -> None:
    with run_server(["-c", SERVER]) as server:
        assert server.ready_seconds > 0
        assert server.cpu_seconds() > 0
        assert server.resident_bytes() > 25_600_000
        process = psutil.Process(server.process.pid)
    assert not process.is_running()


def test_a_server_that_ends_early_is_reported_with_what_it_said() -> None:
    with (
        pytest.raises(ServerError, match="no bundles here"),
        run_server(["-c", "import sys; sys.exit('no bundles here')"]),
    ):
        pytest.fail("it never got ready")


def test_settings_of_whoever_measures_stay_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEQSERVE_DATA", str(tmp_path))
    command = "import os, sys; sys.exit(' '.join(k for k in os.environ if k.startswith('SEQSERVE')) or 'none set')"
    with pytest.raises(ServerError, match="none set"), run_server(["-c", command]):
        pytest.fail("it never got ready")
