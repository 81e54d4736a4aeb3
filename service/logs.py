"""How the log is written: as text for people or as JSON for machines, each line with the ids of its request.

Nothing that a client sent goes into it but a well-formed `X-Request-ID` and `traceparent`, and the name of its key.
"""

from __future__ import annotations

import logging
import traceback
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from service.api.context import CURRENT, RequestContext

ACCESS = logging.getLogger("bentoml.seqserve.access")
"""A line a request, where the settings ask for it."""
_FIELDS = ("levelname", "name", "message", "process")
_NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}


def configure_logs(log_format: Literal["text", "json"]) -> None:
    """Take over the handlers that the server has set up, in the supervisor and in each worker."""
    for handler in logging.getLogger("bentoml").handlers:
        if log_format == "json":
            # Those of BentoML add to each record what its own format needs.
            handler.filters.clear()
            handler.addFilter(_identify)
            handler.setFormatter(JsonFormatter(_FIELDS, timestamp="time", rename_fields=_NAMES))
        else:
            handler.addFilter(_append_ids)


def outline(error: BaseException) -> str:
    """Where an exception was raised and of what type it is, and so those behind it.

    Their messages are left out: they may quote what a client sent.
    """
    parts: list[str] = []
    told: BaseException | None = error
    while told is not None:
        stack = "".join(traceback.format_tb(told.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{stack}{type(told).__module__}.{type(told).__qualname__}")
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    return "\nraised while handling\n".join(parts)


def log_access(context: RequestContext, method: str, route: str, task: str, seconds: float) -> None:
    """Write the line of a request that is over; `route` is one of ours, never the path that was sent."""
    told = {
        "method": method,
        "route": route,
        "status": context.status,
        "task": task,
        "model": context.model,
        "caller": context.caller,
        "reason": context.reason,
        "seconds": round(seconds, 6),
    }
    text = " ".join(f"{name}={value}" for name, value in told.items() if value != "")
    ACCESS.info("%s", text, extra=told)


def _identify(record: logging.LogRecord) -> bool:
    """Give a record the ids of the request that is being worked on, if one is."""
    record.__dict__.update(_ids())
    return True


def _append_ids(record: logging.LogRecord) -> bool:
    """Put them where BentoML's text format has room for ids."""
    if ids := _ids():
        record.trace_msg = f" ({', '.join(f'{name}={value}' for name, value in ids.items())})"
    return True


def _ids() -> dict[str, str]:
    context = CURRENT.get(None)
    if context is None:
        return {}
    ids = {"request_id": context.id}
    if (trace := context.trace) is not None:
        ids["trace_id"], ids["span_id"] = trace
    return ids
