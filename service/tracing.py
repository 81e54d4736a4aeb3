"""Spans of requests by OpenTelemetry: the request, its wait in the queue, its batches, and the runs of the graphs.

A request's span is begun when it comes, for its id stands in log lines; the others are made up from the times in its
results when it is over, so that nothing between knows of them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from pydantic import HttpUrl

from service.api.context import RequestContext
from service.runtime.requests import Generation, Prediction, Run

# It would quote a client's `tracestate` that it cannot read.
logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)

_PROPAGATOR = TraceContextTextMapPropagator()
_CLOSING_SECONDS = 3.0
_HEADERS = ("traceparent", "tracestate")
_MOST_BATCHES = 16
"""Batches of one request that have spans; a list of a thousand texts has more."""

Outcome = Prediction | Generation


class Tracing:
    """Spans on their way to an exporter, which has a thread of its own. What it cannot deliver is dropped."""

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "seqserve")})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("seqserve")

    def begin(self, headers: Mapping[bytes, bytes], method: str) -> Span:
        """The span of a request that has come, under the client's own if it named one."""
        carrier = {name: headers[name.encode()].decode("latin-1") for name in _HEADERS if name.encode() in headers}
        return self._tracer.start_span(method, _PROPAGATOR.extract(carrier), SpanKind.SERVER)

    def end(self, span: Span, context: RequestContext, method: str, route: str, task: str) -> None:
        """The request is over."""
        if span.is_recording():
            # The monotonic clock's distance from the one that spans are dated by.
            offset = time.time() - time.monotonic()
            self._tell_outcomes(span, context.outcomes, offset)
            if route:
                span.update_name(f"{method} {route}")
            span.set_attributes(_attributes(context, method, route, task))
            if context.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Send what there is, but wait for no collector that does not answer. Blocking."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)

    def _tell_outcomes(self, span: Span, outcomes: Sequence[Outcome], offset: float) -> None:
        together: dict[Run, list[Outcome]] = {}
        for outcome in outcomes:
            together.setdefault(outcome.run, []).append(outcome)
        for run, rows in list(together.items())[:_MOST_BATCHES]:
            self._tell_batch(span, run, rows, offset)

    def _tell_batch(self, parent: Span, run: Run, rows: Sequence[Outcome], offset: float) -> None:
        """A request's rows in one batch: they waited for it, were in it, and left when they were done."""
        submitted = min(run.started - row.queue_seconds for row in rows)
        ended = max(run.started - row.queue_seconds + row.total_seconds for row in rows)

        def tell(under: Span, name: str, start: float, end: float, told: Mapping[str, AttributeValue]) -> Span:
            context = set_span_in_context(under)
            span = self._tracer.start_span(name, context, attributes=told, start_time=_nanoseconds(start + offset))
            span.end(_nanoseconds(end + offset))
            return span

        tell(parent, "queue", submitted, run.started, {"seqserve.rows": len(rows)})
        own = {"seqserve.rows": len(rows), "seqserve.batch.rows": run.rows}
        batch = tell(parent, "batch", run.started, ended, own)
        tell(batch, f"inference {run.graph}", run.started, run.ended, {"seqserve.batch.rows": run.rows})
        steps = max((row.steps for row in rows if isinstance(row, Generation)), default=0)
        if steps:
            tell(batch, "inference step", run.ended, ended, {"seqserve.steps": steps})


def start_tracing(endpoint: HttpUrl) -> Tracing:
    """Tracing to a collector; the `OTEL_…` variables say what else there is to say."""
    return Tracing(OTLPSpanExporter(str(endpoint)))


def _attributes(context: RequestContext, method: str, route: str, task: str) -> dict[str, AttributeValue]:
    """Of closed sets, as metrics are, but for the ids."""
    told: dict[str, AttributeValue] = {
        "http.request.method": method,
        "http.response.status_code": context.status,
        "http.route": route,
        "error.type": context.reason,
        "seqserve.request_id": context.id,
        "seqserve.task": task,
        "seqserve.model": context.model,
    }
    return {name: value for name, value in told.items() if value != ""}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
