"""A real service of two workers with all that is off by default: keys, JSON lines for requests, spans, an own port."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.keys import draw_key
from tests.service.live import BUNDLES, TIMEOUT, connected, figure, free_port, serve, until, worker_of
from tests.service.replies import ANSWER, CAPTION, CLASSIFY, STREAM, TRANSLATE

SECRET = "Quetzalcoatlus"
TEXT = f"A red child sings {SECRET}."
TRACE = "0af7651916cd43dd8448eb211c80319c"
PICTURE = next((BUNDLES.parents[1] / "pictures" / "loose").glob("*.jpg"))


@dataclass
class Service:
    supervisor: psutil.Process
    url: str
    admin: str
    home: Path
    keys: Path
    key: str
    sent: list[bytes] = field(default_factory=list)
    """What the collector got."""

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def spans(self) -> list[Any]:
        exports = [ExportTraceServiceRequest.FromString(body) for body in self.sent]
        return [
            span
            for export in exports
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    key, line = draw_key("acme")
    (home / "keys").write_text(line)
    sent: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name it is called by
            sent.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    admin = free_port()
    settings = {
        "workers": "2",
        "key_file": str(home / "keys"),
        "admin_port": str(admin),
        "log_format": "json",
        "access_log": "true",
        "trace_endpoint": f"http://127.0.0.1:{collector.server_port}/v1/traces",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
            with serve(home, **settings) as (process, url):
                yield Service(
                    psutil.Process(process.pid), url, f"http://127.0.0.1:{admin}", home, home / "keys", key, sent
                )
    finally:
        collector.shutdown()
        collector.server_close()


def reaching_any_worker(url: str) -> httpx.AsyncClient:
    """A client whose every request is a connection of its own, which any worker may accept."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits, verify=False)  # noqa: S501  # no TLS is spoken


async def send(service: Service, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
    """Again and again while the worker that takes it is loading."""
    headers = {"X-API-Key": key or service.key, **more.pop("headers", {})}
    async with reaching_any_worker(service.url) as client:
        reply = await client.request(method, path, headers=headers, **more)
    if reply.status_code != 503:
        return reply
    await asyncio.sleep(0.05)
    return await send(service, method, path, key, headers=headers, **more)


async def test_figures_are_on_their_own_port_and_are_those_of_all_workers(service: Service) -> None:
    await asyncio.gather(*(send(service, "POST", CLASSIFY, json={"text": TEXT}) for _ in range(20)))
    answered: set[str] = set()

    async def both_have_answered() -> bool:
        reply = await admin.get("/metrics")
        answered.add(reply.headers["x-request-id"].partition("-")[0])
        assert await figure(admin, "seqserve_preprocess_duration_seconds_count") == 20
        return len(answered) == 2

    async with reaching_any_worker(service.admin) as admin:
        await until(both_have_answered)
    assert (await send(service, "GET", "/metrics")).json()["type"] == "urn:seqserve:problem:not-found"
    async with reaching_any_worker(service.url) as client:
        for probe in ("/livez", "/readyz"):
            assert (await client.get(probe)).status_code == 200
        # BentoML has one.
        assert (await client.get("/schema.json")).json()["type"] == "urn:seqserve:problem:missing-key"


async def test_keys_are_changed_without_a_restart(service: Service) -> None:
    new, line = draw_key("acme")
    old = service.keys.read_text()

    async def accepted(key: str) -> set[int]:
        """What connections get, to both workers: each looks at the file by itself."""
        told: dict[str, set[int]] = {}
        while len(told) < 2:
            for reply in await asyncio.gather(*(send(service, "GET", "/v1/models", key) for _ in range(8))):
                told.setdefault(worker_of(reply), set()).add(reply.status_code)
        return set.union(*told.values())

    async def becomes(text: str, expected: dict[str, set[int]]) -> None:
        fresh = service.keys.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(service.keys)

        async def is_known() -> bool:
            return {key: await accepted(key) for key in expected} == expected

        await until(is_known)

    assert (await accepted(service.key), await accepted(new)) == ({200}, {401})
    await becomes(f"{old}\n{line}\n", {service.key: {200}, new: {200}})
    await becomes(line, {service.key: {401}, new: {200}})
    await becomes(old, {service.key: {200}, new: {401}})


async def test_spans_reach_a_collector_and_lines_carry_their_ids(service: Service) -> None:
    parent = "b7ad6b7169203331"
    headers = {"traceparent": f"00-{TRACE}-{parent}-01", "X-Request-ID": "order-7"}
    assert (await send(service, "POST", CLASSIFY, json={"text": TEXT}, headers=headers)).status_code == 200

    def of_trace() -> dict[str, Any]:
        return {span.name: span for span in service.spans() if span.trace_id.hex() == TRACE}

    async def delivered() -> bool:
        return len(of_trace()) == 4

    await until(delivered)
    spans = of_trace()
    assert set(spans) == {f"POST {CLASSIFY}", "queue", "batch", "inference predict"}
    request, batch = spans[f"POST {CLASSIFY}"], spans["batch"]
    assert request.parent_span_id.hex() == parent
    assert spans["inference predict"].parent_span_id == batch.span_id
    assert request.start_time_unix_nano <= spans["queue"].start_time_unix_nano
    assert batch.end_time_unix_nano <= request.end_time_unix_nano
    (line,) = [line for line in map(json.loads, service.log.splitlines()) if line.get("request_id") == "order-7"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.span_id.hex())
    assert (line["caller"], line["status"], line["model"]) == ("acme", 200, "tiny-classify")


async def test_nothing_that_was_sent_is_in_the_log_the_figures_or_the_spans(service: Service) -> None:
    name, secret = service.key.split(".")
    traced = f"00-{'1' * 32}-{'1' * 16}-01"
    picture = {"image": (f"{SECRET}.jpg", PICTURE.read_bytes())}
    json_type = {"content-type": "application/json"}
    broken_form = {"content-type": f"multipart/form-data; boundary={SECRET}"}
    expected = [
        (200, await send(service, "POST", TRANSLATE, json={"text": TEXT})),
        (200, await send(service, "POST", STREAM, json={"text": TEXT})),
        (200, await send(service, "POST", TRANSLATE, json={"text": TEXT, "explain": True, "alternatives": 1})),
        (200, await send(service, "POST", CAPTION, files=picture)),
        (422, await send(service, "POST", CAPTION, files=picture, data={SECRET: SECRET})),
        (422, await send(service, "POST", CAPTION, files={"image": (SECRET, SECRET.encode())})),
        (400, await send(service, "POST", CAPTION, content=f"--{SECRET}\r\n{SECRET}", headers=broken_form)),
        (422, await send(service, "POST", ANSWER, json={"story": [TEXT], "question": SECRET})),
        (422, await send(service, "POST", TRANSLATE, json={"text": f"{SECRET} " * 500})),
        (422, await send(service, "POST", TRANSLATE, json={"text": TEXT, SECRET: SECRET})),
        (404, await send(service, "POST", TRANSLATE, json={"text": TEXT, "model": SECRET})),
        (400, await send(service, "POST", TRANSLATE, content=f'{{"text": "{SECRET}', headers=json_type)),
        (415, await send(service, "POST", TRANSLATE, content=SECRET, headers={"content-type": f"text/{SECRET}"})),
        (400, await send(service, "POST", TRANSLATE, json={"text": TEXT}, headers={"X-Request-Timeout": SECRET})),
        (200, await send(service, "GET", "/v1/models", headers={"X-Request-ID": f"{SECRET} {SECRET}"})),
        (200, await send(service, "GET", "/v1/models", headers={"traceparent": SECRET, "User-Agent": SECRET})),
        (200, await send(service, "GET", "/v1/models", headers={"traceparent": traced, "tracestate": SECRET})),
        (404, await send(service, "GET", f"/v1/models/{SECRET}?{SECRET}={SECRET}")),
        (404, await send(service, "GET", f"/{SECRET}")),
        (400, await send(service, SECRET.upper(), TRANSLATE)),
        (401, await send(service, "GET", "/v1/models", f"{SECRET}.{SECRET}")),
        (401, await send(service, "GET", "/v1/models", f"{name}.{SECRET}")),
        (404, await send(service, "GET", f"/v1/{secret}", headers={"Authorization": f"Bearer {service.key}"})),
    ]
    assert [reply.status_code for _, reply in expected] == [status for status, _ in expected]
    async with connected(service.url) as (reader, writer):
        writer.write(f"{SECRET} {service.key}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    async with connected(service.url) as (_, writer):
        head = (
            f"POST {TRANSLATE}?{SECRET} HTTP/1.1\r\nhost: x\r\nx-api-key: {service.key}\r\ncontent-length: 99\r\n\r\n"
        )
        writer.write((head + SECRET).encode())
        await writer.drain()

    async def told() -> bool:
        return '"status": 499' in service.log and any(span.name == "GET" for span in service.spans())

    await until(told)
    log = service.log
    assert sum('"logger": "bentoml.seqserve.access"' in line for line in log.splitlines()) > len(expected)
    for line in log.splitlines():
        assert json.loads(line)["level"] in ("INFO", "WARNING", "ERROR")
    async with reaching_any_worker(service.admin) as admin:
        figures = (await admin.get("/metrics")).text
    assert 'reason="invalid-key"' in figures
    for told_of in (log, figures, "".join(map(str, service.spans()))):
        assert SECRET.lower() not in told_of.lower()
        assert secret not in told_of


async def test_the_port_and_its_sums_outlive_a_worker(service: Service) -> None:
    async def count() -> float:
        return await figure(admin, "seqserve_request_duration_seconds_count")

    def running() -> list[psutil.Process]:
        children = service.supervisor.children()
        return [child for child in children if "_bentoml_impl.worker.service" in child.cmdline()]

    async with reaching_any_worker(service.admin) as admin:
        before = await count()
        victim, _ = running()
        victim.kill()
        await asyncio.to_thread(victim.wait, TIMEOUT)
        # What a scrape counts is itself, once it is over.
        assert [await count() for _ in range(8)] == [before + number for number in range(1, 9)]
