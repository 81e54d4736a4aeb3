"""A small HTTP client for closed and for open loops.

Closed: so many kept connections, each sending its next request when it has a reply. Open: requests at given instants,
whatever became of those before.

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


def post_at(
    url: str, bodies: Sequence[bytes], instants: Sequence[float], *, content_type: str = "application/json"
) -> Exchange:
    """POST each body at its instant, in seconds from the start; latencies are counted from then.

    Connections are kept, and opened when none is free.

    Raises:
        ReplyError: a reply is not 200; the message carries its body.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_post_at(url, bodies, instants, content_type))


async def _post_all(url: str, bodies: Sequence[bytes], connections: int, content_type: str) -> Exchange:
    load = _Load(url, bodies, content_type)
    try:
        opened = [await load.connect() for _ in range(min(connections, len(bodies)))]
        started = time.perf_counter()
        for connection in opened:
            load.free(connection)
        await load.done
        return Exchange(load.replies, load.latencies, time.perf_counter() - started)
    finally:
        load.close()


async def _post_at(url: str, bodies: Sequence[bytes], instants: Sequence[float], content_type: str) -> Exchange:
    load = _OpenLoad(url, bodies, content_type)
    try:
        started = time.perf_counter()
        for index, instant in enumerate(instants):
            due = started + instant
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            if load.done.done():
                break
            connection = load.idle.pop() if load.idle else await load.connect()
            connection.ask(index, due)
        await load.done
        return Exchange(load.replies, load.latencies, time.perf_counter() - started)
    finally:
        load.close()


class _Load:
    """What all connections share: requests not yet sent, replies so far, and whether it is over."""

    def __init__(self, url: str, bodies: Sequence[bytes], content_type: str) -> None:
        target = urlsplit(url)
        assert target.hostname
        assert target.port
        self.url, self._address = url, (target.hostname, target.port)
        head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: {content_type}\r\n".encode()
        self.requests = [b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body) for body in bodies]
        self._left: Iterator[int] = iter(range(len(bodies)))
        self._opened: list[asyncio.BaseTransport] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.replies = [b""] * len(bodies)
        self.latencies = [0.0] * len(bodies)
        self._missing = len(bodies)

    async def connect(self) -> _Connection:
        """A new connection."""
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(lambda: _Connection(self), *self._address)
        self._opened.append(transport)
        return connection

    def close(self) -> None:
        """Close all connections."""
        for transport in self._opened:
            transport.close()

    def free(self, connection: _Connection) -> None:
        """A connection may send the next request, if there is one."""
        index = next(self._left, None)
        if index is not None:
            connection.ask(index, time.perf_counter())

    def lose(self, connection: _Connection) -> None:
        """A connection was closed that had nothing to answer."""

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


class _OpenLoad(_Load):
    """Requests are sent when they are due; connections wait for them."""

    def __init__(self, url: str, bodies: Sequence[bytes], content_type: str) -> None:
        super().__init__(url, bodies, content_type)
        self.idle: list[_Connection] = []

    def free(self, connection: _Connection) -> None:
        self.idle.append(connection)

    def lose(self, connection: _Connection) -> None:
        # What it is asked from now on would never be answered.
        if connection in self.idle:
            self.idle.remove(connection)


class _Connection(asyncio.Protocol):
    """One kept connection: a request, its reply, the next request."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._index: int | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def ask(self, index: int, since: float) -> None:
        """Send a request whose time is counted from `since`."""
        self._index, self._since = index, since
        self._transport.write(self._load.requests[index])

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
        index, self._index = self._index, None
        self._load.note(index, body, time.perf_counter() - self._since)
        self._load.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._index is not None:
            self._load.fail(f"closed a connection before it had answered: {error}")
        else:
            self._load.lose(self)
