"""A small HTTP client for closed loops: so many kept connections, each sending its next request when it has a reply.

General clients cost more CPU per request than the service that they would measure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


class ReplyError(RuntimeError):
    """The service answered something else than 200."""


@dataclass(frozen=True)
class Exchange:
    """Reply bodies in the order of the requests, and the seconds from the first byte sent to the last received."""

    replies: list[bytes]
    seconds: float


def post_all(url: str, bodies: Sequence[bytes], connections: int) -> Exchange:
    """POST every JSON body over so many connections at once.

    Raises:
        ReplyError: a reply is not 200; the message carries its body.
    """
    return asyncio.run(_post_all(url, bodies, connections))


async def _post_all(url: str, bodies: Sequence[bytes], connections: int) -> Exchange:
    target = urlsplit(url)
    assert target.hostname
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: application/json\r\n".encode()
    replies = [b""] * len(bodies)
    left = iter(range(len(bodies)))

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for index in left:
            writer.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(bodies[index]), bodies[index]))
            status, replies[index] = await _read_reply(reader)
            if status != 200:
                raise ReplyError(f"{url} answered {status}: {replies[index].decode(errors='replace')}")

    opened = [await asyncio.open_connection(target.hostname, target.port) for _ in range(connections)]
    try:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for reader, writer in opened:
                group.create_task(work(reader, writer))
        return Exchange(replies, time.perf_counter() - started)
    finally:
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()


async def _read_reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one reply, which must tell its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    lengths = [field.partition(":")[2] for field in fields if field.lower().startswith("content-length:")]
    if not lengths:
        raise ReplyError(f"a reply without Content-Length: {head.decode('latin-1')}")
    return int(status.split(" ")[1]), await reader.readexactly(int(lengths[0]))
