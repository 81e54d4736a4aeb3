"""Spans of requests, through ASGI, kept in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service.api.app import create_face
from service.api.life import Life
from service.settings import Settings
from service.tracing import Tracing
from tests.service.fakes import FakeEngine
from tests.service.replies import PARAGRAPH, STREAM, TEXT, TRANSLATE

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """What a collector would get, once all of it is sent."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(self._exporter)

    def spans(self) -> list[ReadableSpan]:
        self.tracing.close()
        return sorted(self._exporter.get_finished_spans(), key=lambda span: (span.start_time, -span.end_time))


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.tracing.close()


@pytest.fixture
async def client(life: Life, collector: Collector) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_face(life, Settings(), collector.tracing))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def told(span: ReadableSpan, *names: str) -> list[object]:
    return [(span.attributes or {}).get(name) for name in names]


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_a_request_s_time_is_told_apart(client: httpx.AsyncClient, collector: Collector, path: str) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-ID": "order-7"}
    reply = await client.post(path, json={"text": PARAGRAPH}, headers=headers)
    assert reply.status_code == 200
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {f"POST {path}", "queue", "batch", "inference encode", "inference step"}
    request, batch = spans[f"POST {path}"], spans["batch"]
    assert request.kind is SpanKind.SERVER
    assert request.parent is not None
    assert (f"{request.parent.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, SPAN)
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    for name, parent in (
        ("queue", request),
        ("batch", request),
        ("inference encode", batch),
        ("inference step", batch),
    ):
        assert spans[name].parent is not None
        assert spans[name].parent.span_id == parent.context.span_id
    assert told(request, "http.route", "http.response.status_code", "seqserve.model", "seqserve.request_id") == [
        path,
        200,
        "echo",
        "order-7",
    ]
    assert request.resource.attributes["service.name"] == "seqserve"
    assert told(batch, "seqserve.rows", "seqserve.batch.rows") == [3, 1]
    assert spans["queue"].end_time == batch.start_time == spans["inference encode"].start_time
    assert spans["inference encode"].end_time == spans["inference step"].start_time
    assert spans["inference step"].end_time == batch.end_time
    assert spans["inference encode"].end_time - batch.start_time == pytest.approx(1e6, rel=0.01)
    assert batch.end_time - batch.start_time == pytest.approx(2e6, rel=0.01)


async def test_a_refusal_and_a_failure_are_told(
    client: httpx.AsyncClient, collector: Collector, engine: FakeEngine
) -> None:
    await client.post(TRANSLATE, json={"text": ""})
    engine.error = ValueError(TEXT)
    await client.post(TRANSLATE, json={"text": TEXT})
    await client.get(f"/v1/{TEXT}")
    refused, failed, lost = collector.spans()
    names = ("http.response.status_code", "error.type", "http.route")
    assert told(refused, *names) == [422, "empty-text", TRANSLATE]
    assert (refused.status.status_code, refused.parent) == (StatusCode.UNSET, None)
    assert told(failed, *names) == [500, "internal-error", TRANSLATE]
    assert failed.status.status_code is StatusCode.ERROR
    assert (lost.name, told(lost, *names)) == ("GET", [404, "not-found", None])
    assert TEXT not in "".join(span.to_json() for span in (refused, failed, lost))


async def test_a_trace_state_that_is_none_is_not_quoted_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "Quetzalcoatlus"}
    assert (await client.post(TRANSLATE, json={"text": TEXT}, headers=headers)).status_code == 200
    assert "Quetzalcoatlus" not in caplog.text


async def test_what_the_client_does_not_sample_is_not_traced(client: httpx.AsyncClient, collector: Collector) -> None:
    reply = await client.post(TRANSLATE, json={"text": TEXT}, headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert reply.status_code == 200
    assert collector.spans() == []
