"""What every request passes first: identity, readiness, keys, limits on the body, deadline and counting.

Pure ASGI around the app: a framework's middleware classes would cost a task and a queue for each request.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import time
import uuid
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from fastapi.routing import APIRoute
from prometheus_client import Histogram
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.budget import Budget
from service.api.callers import Callers
from service.api.context import CURRENT, RequestContext
from service.api.errors import CLIENT_GONE, ClientGoneError, ProblemError, as_problem
from service.api.life import Life, Stage
from service.api.route import StrictRoute
from service.logs import log_access
from service.metrics import REJECTED, REQUEST_DURATION
from service.runtime.errors import DeadlineExceededError, QueueFullError
from service.settings import Settings

if TYPE_CHECKING:
    from service.tracing import Tracing

METRICS_PATH = "/metrics"
DOCS_URL = "/v1/docs"
OPENAPI_URL = "/v1/openapi.json"
SHORTEST_DEADLINE = 0.1
"""Seconds. No request is dropped sooner: what takes less is cheaper to finish than to give up."""
_CONTEXT = "seqserve.context"
_PROCESS = uuid.uuid4().hex[:12]
_NUMBERS = itertools.count(1)
"""Ids are counted within a process: drawing each would cost a system call, and with it the interpreter's lock."""
_REQUEST_ID = re.compile(rb"[\w.:-]{1,128}")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_OPEN = frozenset((METRICS_PATH, OPENAPI_URL, "/"))
"""Answered without a key, beside the page of the description: figures, and how to ask."""
_SAFE = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
"""Replies are for their client alone, and of the type they say: no page of a browser may make more of one."""
_OUTCOMES = {429: "rejected", 503: "rejected", 504: "timeout", CLIENT_GONE: "gone"}
_LIMITED = "rate-limited"
"""The reason of a 429 that one client is at fault for, and not the service for want of replicas."""


def context_of(scope: Scope) -> RequestContext:
    """The context of a request that passed the gate."""
    return cast(RequestContext, scope[_CONTEXT])


class Gate:
    """The outermost layer of the HTTP face. Nothing that happens behind it reaches the server as an exception.

    Requests to `routes`, by path, are answered without the app: its router and middlewares would do nothing for them,
    and that at 80 µs a request.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[str, StrictRoute],
        life: Life,
        settings: Settings,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._routes = routes
        self._life = life
        self._settings = settings
        self._budget = Budget(settings.max_held_bytes)
        self._callers = Callers(settings) if settings.key_file or settings.rate_limit else None
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a WebSocket is refused before its handshake."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        headers = dict(scope["headers"])
        started = time.monotonic()
        deadline = started + self._settings.deadline
        context = RequestContext(_request_id(headers), started, deadline, headers.get(b"traceparent"))
        scope[_CONTEXT] = context
        CURRENT.set(context)
        if self._tracing is not None:
            context.span = self._tracing.begin(headers, _method(scope))
        # The page of the description has its own.
        safe = () if scope["path"].startswith(DOCS_URL) else _SAFE

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = [*message["headers"], *safe, (b"x-request-id", context.id.encode())]
                if self._life.stage is Stage.DRAINING:
                    # Sent on a connection that stays open, a later request would find nobody.
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        cohort = self._life.enter()
        try:
            await self._pass(scope, headers, receive, identified, context)
        except ProblemError as refusal:
            context.reason = refusal.kind.slug
            await refusal.response(context.id)(scope, receive, identified)
        except ClientGoneError:
            # Nobody reads it, but BentoML's timeout waits for a reply until it fires.
            await Response(status_code=CLIENT_GONE)(scope, receive, identified)
        except Exception as error:  # noqa: BLE001  # the last place where one can be reported
            # The app passes on what it has reported and replied to.
            if not context.reason:
                problem = as_problem(error, context.id)
                context.reason = problem.kind.slug
                if not context.status:
                    await problem.response(context.id)(scope, receive, identified)
        finally:
            self._budget.give(context.held)
            cohort.leave()
            self._count(context, scope)

    async def _pass(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send, context: RequestContext
    ) -> None:
        path = scope["path"]
        # The router's patterns end with `$`, which lets a line feed follow: what it takes for a route must be one here.
        route = self._routes.get(path.removesuffix("\n")) if scope["method"] == "POST" else None
        if route is not None:
            scope["route"] = route
        if path != METRICS_PATH:
            self._check_stage()
        if self._callers is not None and path not in _OPEN and not path.startswith(DOCS_URL):
            self._callers.admit(scope, headers, _task(route), context)
        if route is not None and _stays_open(scope, headers) and self._life.catalogue.full(_task(route)):
            # Before the body is read: the less a refusal costs while overloaded, the more is answered.
            raise QueueFullError
        context.deadline = context.started + self._allowed(headers)
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        limit = route.longest_body(self._settings) if route else self._settings.max_body_bytes
        body = await self._body(headers, receive, context, limit)
        if route is not None:
            response = await route.answer(body, Request(scope, receive))
            await response(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)

    def _check_stage(self) -> None:
        stage = self._life.stage
        if stage is Stage.LOADING:
            raise ProblemError("not-ready", "the models are being loaded: retry when /readyz answers 200")
        if stage is Stage.FAILED:
            raise ProblemError("not-ready", "the models could not be loaded: see the service's log")
        if stage is Stage.DRAINING:
            raise ProblemError("shutting-down", "the service is shutting down: send the request to another replica")

    def _allowed(self, headers: dict[bytes, bytes]) -> float:
        """Seconds the request may take: the client may ask for less than the service allows, within reason."""
        asked = headers.get(b"x-request-timeout")
        if asked is None:
            return self._settings.deadline
        try:
            seconds = float(asked)
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            given = asked.decode("latin-1")
            raise ProblemError("invalid-header", f"{given!r} is not a number of seconds above 0", "X-Request-Timeout")
        return min(max(seconds, SHORTEST_DEADLINE), self._settings.deadline)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive, context: RequestContext, limit: int) -> bytes:
        """The whole body, never more of it in memory than the limit, nor of all long ones than may be held together.

        Raises:
            ProblemError: it is too large, or too slow, or the deadline passed meanwhile, or there are too many.
            ClientGoneError: it will never be whole.
        """
        too_large = ProblemError("body-too-large", f"the body is longer than {limit} bytes: send less at a time")
        counted = limit > self._settings.max_body_bytes
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            raise too_large
        allowed, left = self._settings.body_timeout, context.deadline - time.monotonic()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(min(allowed, left)):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > limit:
                        raise too_large
                    if counted:
                        self._budget.take(len(chunk))
                        context.held += len(chunk)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            if left < allowed:
                raise as_problem(DeadlineExceededError(), context.id) from None
            detail = f"the body did not arrive within {allowed:g} s: send it faster, or in smaller requests"
            raise ProblemError("body-timeout", detail) from None

    def _count(self, context: RequestContext, scope: Scope) -> None:
        # The router leaves the route it matched in the scope, and its tag is the task; BentoML leaves its mount.
        route = scope.get("route")
        task = _task(route)
        status = context.status
        outcome = _OUTCOMES.get(status) or ("ok" if status < 400 else "invalid" if status < 500 else "failed")
        if context.reason == _LIMITED:
            outcome = "limited"
        seconds = time.monotonic() - context.started
        _duration(task, context.model, outcome).observe(seconds)
        if context.reason:
            REJECTED.labels(task, context.reason).inc()
        if self._tracing is not None or self._settings.access_log:
            method, path = _method(scope), route.path if isinstance(route, APIRoute) else ""
            if context.span is not None and self._tracing is not None:
                self._tracing.end(context.span, context, method, path, task)
            if self._settings.access_log:
                log_access(context, method, path, task, seconds)


@cache
def _duration(task: str, model: str, outcome: str) -> Histogram:
    """The histogram of these labels, all from closed sets; looking it up costs as much as observing."""
    return REQUEST_DURATION.labels(task, model, outcome)


def _task(route: object) -> str:
    """The tag of a route is its task."""
    return str(route.tags[0]) if isinstance(route, APIRoute) else ""


def _method(scope: Scope) -> str:
    """A request's method: a client may send any word in its place."""
    method = str(scope["method"])
    return method if method in _METHODS else "_OTHER"


def _stays_open(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a connection outlives its request: of one that is closed before all was read, the reply may be lost."""
    return scope["http_version"] != "1.0" and headers.get(b"connection", b"").lower() != b"close"


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_PROCESS}-{next(_NUMBERS):x}"
