"""Server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.errors import CLIENT_GONE
from service.api.gate import context_of

_LINGER = 5.0
"""Seconds past its deadline that a client may take to read what there is."""
MEDIA_TYPE = "text/event-stream"


def event(name: str, data: bytes) -> bytes:
    """One event; `data` is JSON on one line."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def piece_event(text: str) -> bytes:
    """The event of a piece of text that was added."""
    return event("token", json.dumps({"text": text}, ensure_ascii=False).encode())


class EventStream(Response):
    """A reply that is sent event by event. Its source watches the client itself, and is closed in any case.

    Who stays but does not read is given up: a request that never ends would keep its model from being closed, and the
    service from ending.
    """

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        # Proxies must not collect what is meant to be seen at once.
        super().__init__(headers={"x-accel-buffering": "no"}, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head, events and end."""
        context = context_of(scope)
        try:
            async with asyncio.timeout(context.deadline + _LINGER - time.monotonic()):
                await self._send(send)
        except TimeoutError:
            # Nothing can be said to who does not read: the server cuts off a reply without an end.
            context.status = CLIENT_GONE

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events) as events:  # type: ignore[type-var]
            async for chunk in events:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
