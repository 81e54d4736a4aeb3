"""A real service process on a real port, with real bundles; and clients of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "tests" / "data" / "bundles" / "v1"
TIMEOUT = 60


def free_port() -> int:
    """A port below those of outgoing connections: tests beside this one could be given it before a server listens."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def serve(home: Path, bundles: Path = BUNDLES, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service that is ready, and its address; it is stopped at the end if it still runs."""
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--bundles", str(bundles), "--host", "127.0.0.1"]
    variables = {f"SEQSERVE_{name.upper()}": value for name, value in settings.items()}
    environment = {**os.environ, **variables, "BENTOML_HOME": str(home)}
    with running([*command, "--port", str(port)], environment, port, home / "log") as process:
        yield process, f"http://127.0.0.1:{port}"


@contextmanager
def running(
    command: list[str], environment: dict[str, str], port: int, log: Path, folder: Path = ROOT, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that serves at a port, started in a folder, once it is ready."""
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
        end = time.monotonic() + TIMEOUT
        while _status(f"http://127.0.0.1:{port}/readyz") != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        # The worker stands in a session of its own: it is stopped by its supervisor, not by a signal to the group.
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()


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
