"""A real service on a disk that is full, with a clock that jumps, asked for far more than it can do."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import libfaketime
import psutil
import pytest

from tests.service.bundles import spoil
from tests.service.live import BUNDLES, TIMEOUT, connected, figure, idle, launch, raw_request, serve, until, workers
from tests.service.replies import TRANSLATE

FAKE_TIME = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
FULL = Path("/dev/full")
"""Every byte that is written to it finds a disk without room."""
TEXT = "A red child sings on the street."
SLOTS, MAX_QUEUE = 8, 32
LONG = {"text": "A red child sings on the street. An old cat sleeps at home! " * 8, "beam_size": SLOTS}
LATE = f"POST {TRANSLATE} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nx-request-timeout: 0.1\r\n\r\n"
"""A request whose deadline passes before its body comes."""
SOCKETS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    shutil.copytree(BUNDLES / "tiny-en-de", folder / "tiny-en-de")
    return folder


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that says by how much the service's wall clock is wrong."""
    file = tmp_path_factory.mktemp("clock") / "offset"
    put_clock(file, "+0d")
    return file


def put_clock(clock: Path, offset: str) -> None:
    clock.write_text(offset)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, clock: Path
) -> Iterator[tuple[psutil.Process, str]]:
    variables = {
        "LD_PRELOAD": str(FAKE_TIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        # No step of an administrator, or of NTP, moves the monotonic clock.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Else every wait for a condition of that clock, as for the interpreter's lock, ends too late or too early.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }
    settings = {"max_queue": str(MAX_QUEUE), "max_sentences": str(MAX_QUEUE), "slots": str(SLOTS), "head_timeout": "3"}
    home = tmp_path_factory.mktemp("home")
    with serve(home, folder, log=FULL, env=variables, **settings) as (process, url):
        yield psutil.Process(process.pid), url


@pytest.fixture
async def client(service: tuple[psutil.Process, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service[1], timeout=TIMEOUT) as client:
        yield client


async def translate(client: httpx.AsyncClient, body: dict[str, Any] | None = None) -> str:
    response = await client.post(TRANSLATE, json=body or {"text": TEXT})
    assert response.status_code == 200, response.text
    return str(response.json()["translations"][0]["text"])


async def test_requests_go_on_where_nothing_can_be_logged(
    service: tuple[psutil.Process, str], client: httpx.AsyncClient
) -> None:
    expected = await translate(client)
    async with connected(service[1]) as (reader, writer):
        # The server warns of it in the log.
        writer.write(b"this is no HTTP\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    (worker,) = workers(service[0])
    assert Path(f"/proc/{worker.pid}/fd/2").readlink() == FULL  # noqa: ASYNC240  # no disk is asked
    assert await translate(client) == expected
    assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize("offset", ["+1d", "-1d"])
async def test_a_jump_of_the_clock_changes_nothing(
    client: httpx.AsyncClient, service: tuple[psutil.Process, str], clock: Path, offset: str
) -> None:
    expected = await translate(client, LONG)
    real = await told_time(client)
    running = [asyncio.create_task(translate(client, LONG)) for _ in range(2)]
    await until(lambda: busy(client))
    put_clock(clock, offset)
    try:

        async def jumped() -> bool:
            return abs(await told_time(client) - real) > timedelta(hours=23)

        await until(jumped)
        assert await asyncio.gather(*running) == [expected] * 2
        assert await translate(client) == await translate(client)
        async with connected(service[1]) as (reader, writer):
            writer.write(LATE.encode())
            assert await reader.readline() == b"HTTP/1.1 504 Gateway Timeout\r\n"
    finally:
        put_clock(clock, "+0d")
    assert await translate(client, LONG) == expected


async def told_time(client: httpx.AsyncClient) -> Any:
    return parsedate_to_datetime((await client.get("/livez")).headers["date"])


async def busy(client: httpx.AsyncClient) -> bool:
    return await figure(client, "seqserve_running_rows") > 0


async def test_what_is_too_much_is_refused_and_the_rest_is_served(
    service: tuple[psutil.Process, str], client: httpx.AsyncClient
) -> None:
    (worker,) = workers(service[0])
    expected = await translate(client, {"text": TEXT, "beam_size": SLOTS})
    depths: list[float] = []
    held: list[int] = []
    for _ in range(2):
        statuses: Counter[int] = Counter()
        async with httpx.AsyncClient(base_url=service[1], timeout=TIMEOUT, limits=httpx.Limits()) as many:

            async def ask(many: httpx.AsyncClient = many, statuses: Counter[int] = statuses) -> None:
                response = await many.post(TRANSLATE, json={"text": TEXT, "beam_size": SLOTS})
                statuses[response.status_code] += 1
                if response.status_code == 429:
                    assert response.headers["retry-after"] == "1"
                    assert response.json()["type"] == "urn:seqserve:problem:queue-full"
                else:
                    assert response.json()["translations"][0]["text"] == expected

            asking = [asyncio.create_task(ask()) for _ in range(10 * (MAX_QUEUE + SLOTS))]
            while not all(task.done() for task in asking):
                depths.append(await figure(client, "seqserve_queue_depth"))
                await asyncio.sleep(0.05)
            await asyncio.gather(*asking)
            assert statuses.keys() == {200, 429}
            # As soon as the others have their replies there is room again.
            assert await translate(many, {"text": TEXT, "beam_size": SLOTS}) == expected
        held.append(worker.memory_info().rss)
    assert max(depths) <= MAX_QUEUE
    assert held[1] - held[0] < 16 << 20, "what is refused is not kept"
    await until(lambda: idle(client))


async def test_heads_that_never_end_keep_nobody_from_being_served(
    service: tuple[psutil.Process, str], client: httpx.AsyncClient
) -> None:
    (worker,) = workers(service[0])
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected(service[1])) for _ in range(SOCKETS)]
        for index, (_, writer) in enumerate(peers):
            head = raw_request(TRANSLATE, b"").removesuffix(b"\r\n\r\n")
            writer.write(head[: 1 + index % len(head)])
        assert [await translate(client) for _ in range(20)] == [await translate(client)] * 20
        ends = await asyncio.gather(*(asyncio.wait_for(reader.read(), TIMEOUT) for reader, _ in peers))
    assert {end.partition(b"\r\n")[0] for end in ends} == {b"HTTP/1.1 408 Request Timeout"}
    assert len(worker.net_connections()) < SOCKETS


async def test_a_body_that_was_refused_before_it_came_keeps_no_connection(service: tuple[psutil.Process, str]) -> None:
    async with connected(service[1]) as (reader, writer):
        head = raw_request(TRANSLATE, b"").replace(b"content-length: 0", b"content-length: 999999999")
        writer.write(head)
        assert b"413" in await asyncio.wait_for(reader.readline(), TIMEOUT)
        writer.write(b"x")
        await asyncio.wait_for(reader.read(), TIMEOUT)


@pytest.mark.parametrize("begun", ["", "transfer-encoding: chunked\r\n\r\n0\r\n"])
async def test_fields_that_go_on_and_on_are_not_kept(
    service: tuple[psutil.Process, str], client: httpx.AsyncClient, begun: str
) -> None:
    head = f"POST {TRANSLATE} HTTP/1.1\r\nhost: x\r\n{begun}x-long: ".encode()
    end = b""
    async with connected(service[1]) as (reader, writer):
        writer.write(head + b"x" * (1 << 22))
        # What is still on its way when the server hangs up may take the reply with it.
        with suppress(ConnectionError):
            end = await asyncio.wait_for(reader.readline(), TIMEOUT)
    assert end in (b"", b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert await translate(client) == await translate(client)


@pytest.mark.parametrize("stage", ["", "loading"])
def test_a_stop_during_the_start_is_an_end(tmp_path: Path, stage: str) -> None:
    with launch(tmp_path) as (process, url):
        # The supervisor listens before there is a worker that could answer.
        wait_until(lambda: readiness(url) == stage)
        running = workers(psutil.Process(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        _, left = psutil.wait_procs(running, TIMEOUT)
        assert left == []


def readiness(url: str) -> str | None:
    """What `/readyz` says; nothing where nobody answers, None where nobody listens."""
    try:
        return str(httpx.get(f"{url}/readyz", timeout=0.5).json()["status"])
    except httpx.TimeoutException:
        return ""
    except httpx.TransportError:
        return None


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_strict_service_does_not_start_with_a_broken_bundle(tmp_path: Path) -> None:
    shutil.copytree(BUNDLES / "tiny-tag", tmp_path / "bundles" / "tiny-tag")
    shutil.copytree(BUNDLES / "tiny-en-de", tmp_path / "bundles" / "tiny-en-de")
    spoil(tmp_path / "bundles" / "tiny-tag" / "1" / "int8" / "predict.onnx")
    with launch(tmp_path, tmp_path / "bundles", strict="true") as (process, _):
        assert process.wait(TIMEOUT) == 1
    told = (tmp_path / "log").read_text()
    assert "tiny-tag 1: int8/predict.onnx was altered" in told
    assert "Traceback" not in told
