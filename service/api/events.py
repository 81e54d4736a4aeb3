"""Server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"


def event(name: str, data: bytes) -> bytes:
    """One event; `data` is JSON on one line."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def piece_event(text: str) -> bytes:
    """The event of a piece of text that was added."""
    return event("token", json.dumps({"text": text}, ensure_ascii=False).encode())


class EventStream(Response):
    """A reply that is sent event by event. Its source watches the client itself, and is closed in any case."""

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        # Proxies must not collect what is meant to be seen at once.
        super().__init__(headers={"x-accel-buffering": "no"}, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head, events and end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events) as events:  # type: ignore[type-var]
            async for chunk in events:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
