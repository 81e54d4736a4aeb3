"""A small HTTP client for closed loops: so many kept connections, each sending its next request when it has a reply.

General clients cost more CPU per request than the service that they would measure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop


class ReplyError(RuntimeError):
    """The service answered something else than 200, or no longer answers."""


@dataclass(frozen=True)
class Exchange:
    """Reply bodies in the order of the requests, the seconds that each took, and those from the first to the last."""

    replies: list[bytes]
    latencies: list[float]
    seconds: float


def post_all(
    url: str, bodies: Sequence[bytes], connections: int, *, content_type: str = "application/json"
) -> Exchange:
    """POST every body over so many connections at once.

    Raises:
        ReplyError: a reply is not 200; the message carries its body.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_post_all(url, bodies, connections, content_type))


async def _post_all(url: str, bodies: Sequence[bytes], connections: int, content_type: str) -> Exchange:
    target = urlsplit(url)
    assert target.hostname
    assert target.port
    loop = asyncio.get_running_loop()
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: {content_type}\r\n".encode()
    requests = [b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body) for body in bodies]
    load = _Load(url, requests, iter(range(len(requests))), loop.create_future())
    opened = [
        await loop.create_connection(lambda: _Connection(load), target.hostname, target.port)
        for _ in range(min(connections, len(requests)))
    ]
    try:
        started = time.perf_counter()
        for _, connection in opened:
            connection.send()
        await load.done
        return Exchange(load.replies, load.latencies, time.perf_counter() - started)
    finally:
        for transport, _ in opened:
            transport.close()


class _Load:
    """What all connections share: requests not yet sent, replies so far, and whether it is over."""

    def __init__(self, url: str, requests: Sequence[bytes], left: Iterator[int], done: asyncio.Future[None]) -> None:
        self.url, self.requests, self.left, self.done = url, requests, left, done
        self.replies = [b""] * len(requests)
        self.latencies = [0.0] * len(requests)
        self._missing = len(requests)

    def note(self, index: int, reply: bytes, seconds: float) -> None:
        """A request has its reply."""
        self.replies[index], self.latencies[index] = reply, seconds
        self._missing -= 1
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        """What has come is of no use."""
        if not self.done.done():
            self.done.set_exception(ReplyError(f"{self.url} {reason}"))


class _Connection(asyncio.Protocol):
    """One kept connection: a request, its reply, the next request."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._index: int | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send(self) -> None:
        """Send the next request, if there is one."""
        self._index = next(self._load.left, None)
        if self._index is not None:
            self._sent = time.perf_counter()
            self._transport.write(self._load.requests[self._index])

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4 or self._index is None:
            return
        head = bytes(self._received[:end]).lower()
        _, named, length = head.partition(b"\r\ncontent-length:")
        if not named:
            self._load.fail(f"gave a reply without Content-Length: {head.decode('latin-1')}")
            return
        whole = end + int(length.partition(b"\r\n")[0])
        if len(self._received) < whole:
            return
        body = bytes(self._received[end:whole])
        del self._received[:whole]
        status = int(head.split(b" ", 2)[1])
        if status != 200:
            self._load.fail(f"answered {status}: {body.decode(errors='replace')}")
            return
        self._load.note(self._index, body, time.perf_counter() - self._sent)
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._index is not None:
            self._load.fail(f"closed a connection before it had answered: {error}")
