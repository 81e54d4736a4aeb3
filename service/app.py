"""The BentoML service: life cycle, readiness, health, and the mounted HTTP face.

The supervisor imports this module too, so what is heavy is imported by the worker's start-up alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING

import bentoml
import uvicorn.config

from contract.manifest import BundleError
from service.bundles import all_faults, check_bundles
from service.logs import configure_logs
from service.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.api.admin import AdminPort
    from service.tracing import Tracing

_LOG = logging.getLogger("bentoml.seqserve")
_TIMEOUT_MARGIN = 1.0
_LIVENESS = ("/livez", "/healthz")
"""What BentoML answers."""

settings = Settings()
configure_logs(settings.log_format)
# BentoML lets uvicorn choose what reads HTTP, and this is what it chooses from.
uvicorn.config.HTTP_PROTOCOLS["auto"] = "service.connection:Connection"


class _Face:
    """The mounted app, and the reply to `/readyz`; both exist once the worker has started."""

    app: ASGIApp | None = None
    readiness: Callable[[], ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "BentoML serves no request before its start-up hooks have run"
        await (self.readiness() if scope["path"] == "/readyz" else self.app)(scope, receive, send)


face = _Face()


class _Front:
    """Hands requests to the face, past BentoML's own routing and context, of which they need nothing.

    BentoML's `/readyz` could say no more than yes and no, and what else it serves asks for no key.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"] not in _LIVENESS
        await (face if ours else self._app)(scope, receive, send)


@bentoml.service(
    workers=settings.workers,
    # Our own deadline ends every request; BentoML's timeout must never fire first, for its reply is not ours.
    traffic={"timeout": settings.deadline + _TIMEOUT_MARGIN},
    http={"host": str(settings.host), "port": settings.port},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False, "namespace": "bentoml_service"},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(face, path="/")
class SequenceService:
    """Sequence models over HTTP."""

    def __init__(self) -> None:
        from service.api.life import Life

        self.life = Life()
        self._tasks: set[asyncio.Task[None]] = set()
        self._signals: set[int] = set()
        self._tracing: Tracing | None = None
        self._admin: AdminPort | None = None

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """In the supervisor, before there are workers: end where there is nothing to serve, or not all that is asked.

        Raises:
            SystemExit: with every fault.
        """
        try:
            manifests, refused = check_bundles(settings)
            if not manifests or (settings.strict and refused):
                raise all_faults(settings.bundles, refused)
        except BundleError as error:
            raise SystemExit(f"seqserve: {error}") from error

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Put up the HTTP face and load the models behind it, so that probes are answered meanwhile."""
        if settings.workers == 1:
            # Several workers share their figures in files, which one alone need not pay for.
            os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        # A text is tokenised where it arrives; threads of the tokenizer's own would take the cores from inference.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        # Unheard, yet composed for every request as long as somebody might listen.
        logging.getLogger("uvicorn.access").propagate = False
        from service.api.app import create_admin_face, create_face
        from service.api.ready import readiness
        from service.connection import Connection

        Connection.head_timeout = settings.head_timeout
        face.readiness = lambda: readiness(self.life)
        if settings.trace_endpoint is not None:
            from service.tracing import start_tracing

            self._tracing = start_tracing(settings.trace_endpoint)
        face.app = create_face(self.life, settings, self._tracing)
        if settings.admin_port is not None:
            from service.api.admin import AdminPort

            self._admin = AdminPort(create_admin_face(self.life, settings), settings.host, settings.admin_port)
            self._admin.start()
        if settings.workers > 1:
            from service.sampling import keep_sampling

            self._spawn(keep_sampling(self.life))
        self._drain_on(signal.SIGTERM)
        self._drain_on(signal.SIGINT)
        self._spawn(self._load())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Stop the engines; what they were asked for is done, or out of time."""
        if self.life.loaded:
            await asyncio.to_thread(self.life.catalogue.close, drain=False)
        if self._admin is not None:
            await self._admin.stop()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
            self._tracing = None

    async def __is_alive__(self) -> bool:
        """Whether waiting may still help; where not, the orchestrator starts another one."""
        from service.siblings import is_missed

        return self.life.alive and not is_missed(settings.workers)

    async def _load(self) -> None:
        from service.catalogue import AbandonedError, load_catalogue
        from service.heap import settle_heap
        from service.reload import Reloader

        try:
            catalogue = await asyncio.to_thread(load_catalogue, settings, lambda: self.life.ending)
        except AbandonedError:
            return
        except BundleError as error:
            _LOG.error("%s", error)  # the message says it all
            self.life.fail()
        except Exception:  # noqa: BLE001  # whatever it is, the service stays up to report that it is not ready
            _LOG.exception("the models could not be loaded")
            self.life.fail()
        else:
            settle_heap()
            self.life.start(catalogue)
            if settings.reload_seconds:
                self._spawn(Reloader(self.life, settings).run())

    def _drain_on(self, number: signal.Signals) -> None:
        """On a signal, finish what was accepted before the server hears of it; on its second, end at once."""
        server = signal.getsignal(number)
        assert callable(server), "the server listens to signals before it runs start-up hooks"
        loop = asyncio.get_running_loop()

        def handle(received: int, frame: FrameType | None) -> None:
            again, first = received in self._signals, not self._signals
            self._signals.add(received)
            if again:
                server(received, frame)
            elif first:
                loop.call_soon_threadsafe(lambda: self._spawn(self._drain(lambda: server(received, frame))))

        signal.signal(number, handle)

    async def _drain(self, end: Callable[[], object]) -> None:
        """Refuse new requests with 503, finish the accepted ones, then let the server end."""
        if not await self.life.drain(settings.shutdown_grace):
            _LOG.warning("%d requests were not done within %g s", self.life.in_flight, settings.shutdown_grace)
            await self.stop()
        end()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


SequenceService.add_asgi_middleware(_Front)  # type: ignore[attr-defined]  # the decorator has made it a `Service`
