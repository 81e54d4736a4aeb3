"""The port of those who run the service, apart from the one of those who use it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address

import uvicorn
from starlette.types import ASGIApp

_CLOSING_SECONDS = 1


class AdminPort:
    """A second listener of a worker, on the worker's event loop.

    Several workers listen on the same port, and the kernel picks the one that answers: each tells the figures of all,
    and when one dies, the others go on.
    """

    def __init__(self, app: ASGIApp, host: IPv4Address | IPv6Address, port: int) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSING_SECONDS,
        )
        self._server = _Server(config)
        self._address = str(host), port
        self._family = socket.AF_INET6 if host.version == 6 else socket.AF_INET
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: somebody else listens there.
        """
        listener = socket.socket(self._family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(self._address)
        self._serving = asyncio.create_task(self._server.serve([listener]))

    async def stop(self) -> None:
        """Finish what is being answered, and close."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """A server that leaves signals to the worker's main one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
