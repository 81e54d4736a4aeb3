"""A real service process on a real port, with real bundles; and clients of it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "tests" / "data" / "bundles" / "v1"
TIMEOUT = 120


def free_port() -> int:
    """A port below those of outgoing connections: tests beside this one could be given it before a server listens."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def serve(
    home: Path,
    bundles: Path = BUNDLES,
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service that is ready, launched as by `launch`."""
    with launch(home, bundles, log=log, env=env, **settings) as (process, url):
        _wait_for(process, url, log or home / "log")
        yield process, url


@contextmanager
def launch(
    home: Path,
    bundles: Path = BUNDLES,
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service that may not be ready yet, and its address; it is stopped at the end if it still runs.

    What it tells is in `log`, else in the file `log` of its home. `env` are variables other than its settings.
    """
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--bundles", str(bundles), "--host", "127.0.0.1"]
    variables = {f"SEQSERVE_{name.upper()}": value for name, value in settings.items()}
    environment = {**os.environ, **variables, "BENTOML_HOME": str(home), **(env or {})}
    with _started([*command, "--port", str(port)], environment, log or home / "log") as process:
        yield process, f"http://127.0.0.1:{port}"


@contextmanager
def running(
    command: list[str], environment: dict[str, str], port: int, log: Path, folder: Path = ROOT, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that serves at a port, started in a folder, once it is ready."""
    with _started(command, environment, log, folder, **options) as process:
        _wait_for(process, f"http://127.0.0.1:{port}", log)
        yield process


@contextmanager
def _started(
    command: list[str], environment: dict[str, str], log: Path, folder: Path = ROOT, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
    try:
        yield process
    finally:
        # The worker stands in a session of its own: it is stopped by its supervisor, not by a signal to the group.
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until a service is ready."""
    end = time.monotonic() + TIMEOUT
    while _status(f"{url}/readyz") != 200:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=TIMEOUT).status_code
    except httpx.TransportError:
        return 0


async def figure(client: httpx.AsyncClient, name: str) -> float:
    """A metric's lines, summed."""
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what the service does in its own time."""
    async with asyncio.timeout(TIMEOUT):
        while not await condition():  # noqa: ASYNC110  # another process sets no event
            await asyncio.sleep(0.02)


async def idle(client: httpx.AsyncClient) -> bool:
    return await figure(client, "seqserve_running_rows") + await figure(client, "seqserve_queue_depth") == 0


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection without an HTTP library on it, cut off at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def raw_request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def workers(supervisor: psutil.Process) -> list[psutil.Process]:
    running = (child for child in supervisor.children() if child.status() != psutil.STATUS_ZOMBIE)
    return [child for child in running if "_bentoml_impl.worker.service" in child.cmdline()]


@asynccontextmanager
async def connected_to(
    worker: psutil.Process, supervisor: psutil.Process, url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose one connection this worker has accepted, once it is ready."""
    limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
    others = [other for other in workers(supervisor) if other != worker]
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/livez")).status_code == 200
            except httpx.TransportError:
                return False

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        for other in others:
            other.suspend()
        try:
            await until(answers)
        finally:
            for other in others:
                other.resume()
        await until(ready)
        yield client


def worker_of(response: httpx.Response) -> str:
    """The part of a request's id that is its worker's own."""
    return str(response.headers["x-request-id"].partition("-")[0])


class Peer:
    """The client's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, request: bytes) -> None:
        self._writer.write(request)

    async def worker(self) -> str:
        """The worker that accepted the connection, as `worker_of` names it."""
        self.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        headers = await self._head()
        await self._reader.readexactly(int(headers[b"content-length"]))
        return headers[b"x-request-id"].decode().partition("-")[0]

    async def rest(self) -> dict[str, Any] | None:
        """The reply, which ends with its last event where it is a stream; None where the connection ends before it."""
        try:
            headers = await self._head()
            if b"content-length" in headers:
                return dict(json.loads(await self._reader.readexactly(int(headers[b"content-length"]))))
            text = await self._reader.readuntil(b"\r\n0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        return dict(json.loads(text.rpartition(b"data: ")[2].partition(b"\n")[0]))

    async def _head(self) -> dict[bytes, bytes]:
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).splitlines()
        assert status.startswith(b"HTTP/1.1 200"), status
        return {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines if line)}
