"""The HTTP face, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from service.api.answer import add_answer_routes
from service.api.caption import add_caption_routes
from service.api.classify import add_classify_routes
from service.api.docs import add_docs, problem_replies
from service.api.errors import (
    CLIENT_GONE,
    ClientGoneError,
    ProblemError,
    as_problem,
    from_status,
)
from service.api.gate import METRICS_PATH, Gate, context_of
from service.api.generate import SEED_HEADER, add_generate_routes
from service.api.life import Life
from service.api.models import add_model_routes
from service.api.paint import add_paint_routes
from service.api.recommend import add_recommend_routes
from service.api.route import StrictRoute, strict_routes
from service.api.tag import add_tag_routes
from service.api.translate import add_translate_routes
from service.catalogue import UnknownModelError
from service.metrics import CONTENT_TYPE_LATEST, render
from service.runtime.errors import RefusalError
from service.sampling import sample
from service.settings import Settings

if TYPE_CHECKING:
    from service.tracing import Tracing

_DESCRIPTION = """\
Sequence models with continuous batching. Errors are problem documents (RFC 9457) with a stable `type`.
A request may shorten its deadline by `X-Request-Timeout` (seconds); replies carry an `X-Request-ID`.
"""
_ASKED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Traceparent",
    "Tracestate",
    "X-API-Key",
    "X-Request-ID",
    "X-Request-Timeout",
)
"""Headers that pages of other origins may send."""


def create_face(life: Life, settings: Settings, tracing: Tracing | None = None) -> ASGIApp:
    """Everything that BentoML does not answer itself, behind the gate."""
    app = _create_app()
    add_recommend_routes(app, life, settings)
    add_classify_routes(app, life, settings)
    add_tag_routes(app, life, settings)
    add_answer_routes(app, life, settings)
    add_translate_routes(app, life, settings)
    add_caption_routes(app, life, settings)
    add_generate_routes(app, life, settings)
    add_paint_routes(app, life, settings)
    add_model_routes(app, life)
    if settings.admin_port is None:
        _add_metrics(app, life)
    if settings.docs:
        add_docs(app, settings)
    gate = Gate(app, strict_routes(app), life, settings, tracing)
    if not settings.cors_origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST"),
        allow_headers=_ASKED_HEADERS,
        expose_headers=("X-Request-ID", "Retry-After", "WWW-Authenticate", SEED_HEADER),
    )


def create_admin_face(life: Life, settings: Settings) -> ASGIApp:
    """What those who run the service ask for, where that has a port of its own."""
    app = _create_app()
    _add_metrics(app, life)
    return Gate(app, {}, life, settings)


def _create_app() -> FastAPI:
    """An app without routes, whose errors are problem documents."""
    app = FastAPI(
        title="seqserve",
        version="1",
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        responses=problem_replies(),
    )
    app.router.route_class = StrictRoute
    _add_problems(app)
    return app


def _add_metrics(app: FastAPI, life: Life) -> None:
    """`GET /metrics`, in place of BentoML's: its own figures carry the raw path of every request as a label."""

    @app.get(METRICS_PATH, include_in_schema=False, tags=["metrics"])
    def metrics() -> Response:
        sample(life)
        return Response(render(), media_type=CONTENT_TYPE_LATEST)


def _add_problems(app: FastAPI) -> None:
    """Every error becomes a problem document."""

    def reply(request: Request, problem: ProblemError) -> Response:
        context = context_of(request.scope)
        context.reason = problem.kind.slug
        return problem.response(context.id)

    async def refused(request: Request, error: Exception) -> Response:
        return reply(request, as_problem(error, context_of(request.scope).id))

    async def by_status(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = reply(request, from_status(error, request))
        response.headers.update(error.headers or {})
        return response

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    for refusal in (ProblemError, RefusalError, UnknownModelError):
        app.add_exception_handler(refusal, refused)
    app.add_exception_handler(HTTPException, by_status)
    app.add_exception_handler(ClientGoneError, gone)
    app.add_exception_handler(Exception, refused)
