"""What the log says of requests, and what it never says, through ASGI."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from bentoml._internal.log import SERVER_LOGGING_CONFIG

from service.api.app import create_face
from service.api.life import Life
from service.logs import configure_logs, outline
from service.runtime.errors import EngineFailedError
from service.settings import Settings
from tests.service.fakes import FakeEngine
from tests.service.replies import STREAM, TEXT, TRANSLATE, check_problem

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "Quetzalcoatlus"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the handler of BentoML's server writes."""
    logger = logging.getLogger("bentoml")
    before = logger.handlers[:], logger.level
    handler = logging.StreamHandler(io.StringIO())
    traced = SERVER_LOGGING_CONFIG["formatters"]["traced"]
    handler.setFormatter(logging.Formatter(traced["format"], traced["datefmt"]))
    handler.addFilter(SERVER_LOGGING_CONFIG["filters"]["tracing"]["()"]())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    yield handler.stream
    logger.handlers[:], logger.level = before


@pytest.fixture
async def client(life: Life) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_face(life, Settings(access_log=True)))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def test_a_request_s_line_has_its_ids_and_nothing_that_was_sent(
    client: httpx.AsyncClient, log: io.StringIO
) -> None:
    configure_logs("json")
    headers = {"X-Request-ID": "order-7", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    await client.post(TRANSLATE, json={"text": SECRET}, headers=headers)
    await client.post(TRANSLATE, json={"text": "", SECRET: 1})
    await client.get(f"/v1/{SECRET}?{SECRET}={SECRET}", headers={"traceparent": f"00-{SECRET}"})
    await client.request(SECRET.upper(), "/v1/models/echo")
    translated, refused, lost, odd = lines(log)
    seconds = translated.pop("seconds")
    assert 0 < seconds < 10
    assert translated.pop("time").endswith("+00:00")
    assert translated.pop("process") > 0
    told = "method=POST route=/v1/translate status=200 task=translate model=echo"
    assert translated.pop("message") == f"{told} seconds={seconds}"
    assert translated == {
        "level": "INFO",
        "logger": "bentoml.seqserve.access",
        "request_id": "order-7",
        "trace_id": TRACE,
        "span_id": SPAN,
        "method": "POST",
        "route": TRANSLATE,
        "status": 200,
        "task": "translate",
        "model": "echo",
        "caller": "",
        "reason": "",
    }
    assert (refused["status"], refused["reason"], refused["route"]) == (422, "invalid-request", TRANSLATE)
    assert (lost["status"], lost["reason"], lost["route"]) == (404, "not-found", "")
    assert (odd["method"], odd["status"]) == ("_OTHER", 405)
    assert "trace_id" not in refused | lost
    assert SECRET.lower() not in log.getvalue().lower()


async def test_text_lines_have_the_ids_too(client: httpx.AsyncClient, log: io.StringIO) -> None:
    configure_logs("text")
    headers = {"X-Request-ID": "order-7", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    await client.post(TRANSLATE, json={"text": TEXT}, headers=headers)
    (line,) = log.getvalue().splitlines()
    assert "[INFO]" in line
    assert line.endswith(f" (request_id=order-7, trace_id={TRACE}, span_id={SPAN})")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
    ],
)
async def test_a_trace_context_that_is_none_is_left_out(
    client: httpx.AsyncClient, log: io.StringIO, given: str
) -> None:
    configure_logs("json")
    assert (await client.post(TRANSLATE, json={"text": TEXT}, headers={"traceparent": given})).status_code == 200
    (line,) = lines(log)
    assert "trace_id" not in line


@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_a_failure_is_told_without_what_the_exception_quotes(
    client: httpx.AsyncClient, engine: FakeEngine, log: io.StringIO, path: str
) -> None:
    configure_logs("json")
    engine.error = ValueError(f"cannot do {SECRET}")
    engine.error.__cause__ = KeyError(SECRET)
    check_problem(await client.post(path, json={"text": SECRET}), "internal-error")
    failed, access = lines(log)
    assert (failed["level"], access["status"], access["reason"]) == ("ERROR", 500, "internal-error")
    assert failed["request_id"] == access["request_id"]
    assert "in submit" in failed["message"]
    assert failed["message"].endswith(
        "builtins.ValueError\nraised while handling\nTraceback (most recent call last):\nbuiltins.KeyError"
    )
    engine.error = EngineFailedError("predict failed: a node is broken")
    check_problem(await client.post(path, json={"text": SECRET}), "engine-failed")
    assert "a node is broken" in lines(log)[2]["message"]
    assert SECRET not in log.getvalue()


def test_an_outline_has_every_exception_in_the_chain_once() -> None:
    def fail() -> None:
        try:
            raise LookupError(SECRET)
        except LookupError:
            raise TypeError(SECRET) from None

    try:
        try:
            fail()
        except TypeError:
            raise RuntimeError(SECRET)  # noqa: B904  # what was being handled is told as well
    except RuntimeError as error:
        told = outline(error)
    assert [line for line in told.splitlines() if line.startswith("builtins.")] == [
        "builtins.RuntimeError",
        "builtins.TypeError",
    ]
    assert "in fail" in told


async def test_no_request_writes_a_line_unless_asked_to(life: Life, log: io.StringIO) -> None:
    transport = httpx.ASGITransport(create_face(life, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        await client.post(TRANSLATE, json={"text": TEXT})
        await client.post(TRANSLATE, json={"text": ""})
    assert log.getvalue() == ""
