"""What is known about a request beside its body, wherever it is worked on: its log lines and spans ask for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
"""W3C Trace Context, level 1: what a later version appends is skipped."""


@dataclass
class RequestContext:
    """A request. `deadline` is a `time.monotonic()` instant.

    `model` is set once it is known to be one that is served; `reason` when the request is refused; `caller` is the name
    of its key. `held` are the bytes of its body that count towards what all may hold. `outcomes` are what the runtime
    made of it. `traceparent` is what the client sent, and `span` there where requests are traced.
    """

    id: str
    started: float
    deadline: float
    traceparent: bytes | None = None
    span: Span | None = None
    model: str = ""
    caller: str = ""
    reason: str = ""
    status: int = 0
    held: int = 0
    outcomes: Sequence[Any] = ()

    @property
    def trace(self) -> tuple[str, str] | None:
        """The ids of the trace and of the span in it that log lines belong to: ours, or the client's."""
        if self.span is not None:
            own = self.span.get_span_context()
            return f"{own.trace_id:032x}", f"{own.span_id:016x}"
        given = _TRACEPARENT.fullmatch(self.traceparent or b"")
        return (given[1].decode(), given[2].decode()) if given else None


CURRENT: ContextVar[RequestContext] = ContextVar("seqserve_request")
"""The request that a task of the event loop, or a thread that it waits for, is working on."""
