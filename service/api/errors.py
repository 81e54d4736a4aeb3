"""Errors as problem documents (RFC 9457): a stable type, and a detail that says what to change."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from service.catalogue import UnknownModelError
from service.logs import outline
from service.runtime.errors import EngineFailedError, RefusalError

_LOG = logging.getLogger("bentoml.seqserve")
TYPE_PREFIX = "urn:seqserve:problem:"
MEDIA_TYPE = "application/problem+json"
_JSON_TYPE = re.compile(r"application/(.+\+)?json", re.IGNORECASE)
CLIENT_GONE = 499
"""The status, known to no client, of a request whose client has gone."""
_RETRY_SECONDS = 1
_MOST_FAULTS = 10
_LONGEST_DETAIL = 1_000


@dataclass(frozen=True)
class Kind:
    """A kind of problem. `slug` never changes; clients may rely on it."""

    slug: str
    status: int
    title: str


_KINDS = (
    Kind("invalid-json", 400, "The body is not JSON"),
    Kind("invalid-form", 400, "The form cannot be read"),
    Kind("invalid-header", 400, "A header cannot be understood"),
    Kind("missing-key", 401, "An API key is needed"),
    Kind("invalid-key", 401, "The API key is not taken"),
    Kind("key-not-allowed", 403, "The API key is not for this"),
    Kind("not-found", 404, "There is nothing at this path"),
    Kind("unknown-model", 404, "No such model"),
    Kind("method-not-allowed", 405, "This path does not take this method"),
    Kind("body-timeout", 408, "The body did not arrive in time"),
    Kind("body-too-large", 413, "The body is too large"),
    Kind("unsupported-media-type", 415, "The body is of a type that is not taken"),
    Kind("invalid-request", 422, "The request is not acceptable"),
    Kind("invalid-image", 422, "The picture cannot be read"),
    Kind("invalid-prompt", 422, "The prompt cannot be read"),
    Kind("invalid-tune", 422, "What was written is no tune"),
    Kind("empty-text", 422, "The text is empty"),
    Kind("unknown-words", 422, "The model does not know these words"),
    Kind("input-too-long", 422, "The input is too long"),
    Kind("too-many-sentences", 422, "Too many sentences in one request"),
    Kind("beam-too-wide", 422, "The beam is too wide"),
    Kind("no-attention", 422, "The model has no attention"),
    Kind("queue-full", 429, "Too many requests are waiting"),
    Kind("rate-limited", 429, "Too many requests were sent"),
    Kind("engine-failed", 500, "The model failed"),
    Kind("internal-error", 500, "The service failed"),
    Kind("not-ready", 503, "The service is not ready yet"),
    Kind("shutting-down", 503, "The service is shutting down"),
    Kind("deadline-exceeded", 504, "The deadline passed"),
)
KINDS = {kind.slug: kind for kind in _KINDS}
_FIELDS = {"beam-too-wide": "beam_size", "no-attention": "explain"}
_BY_STATUS = {404: "not-found", 405: "method-not-allowed"}


class Fault(BaseModel):
    """One fault of a request."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="path of the field in the body, its parts joined by dots", examples=["text.3"])
    detail: str = Field(description="what is wrong with it", examples=["Input should be a valid string"])


class Problem(BaseModel):
    """A problem document."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="stable identifier of the kind of problem", examples=[f"{TYPE_PREFIX}empty-text"])
    title: str = Field(description="the kind of problem in words", examples=[KINDS["empty-text"].title])
    status: int = Field(description="the HTTP status", examples=[422])
    detail: str = Field(
        description="what happened and what to change",
        examples=["the text is empty or holds nothing but spaces: send at least one word"],
    )
    field: str | None = Field(None, description="the offending field, where there is one", examples=["text"])
    errors: list[Fault] | None = Field(None, description="all faults, where there are several")
    request_id: str | None = Field(None, description="the request's X-Request-ID, for the service's log")


class ClientGoneError(Exception):
    """The client closed the connection before it had its reply."""


class ProblemError(Exception):
    """A problem to be replied, with `headers` of its own."""

    def __init__(
        self,
        slug: str,
        detail: str,
        field: str | None = None,
        errors: list[Fault] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = KINDS[slug]
        self.detail = detail
        self.field = field
        self.errors = errors
        retry = {"retry-after": str(_RETRY_SECONDS)} if self.kind.status in (429, 503) else {}
        self.headers = {**retry, **(headers or {})}
        super().__init__(detail)

    def document(self, request_id: str | None = None) -> bytes:
        """The problem document as JSON."""
        problem = Problem(
            type=TYPE_PREFIX + self.kind.slug,
            title=self.kind.title,
            status=self.kind.status,
            detail=_shortened(self.detail),
            field=self.field and _shortened(self.field),
            errors=self.errors,
            request_id=request_id,
        )
        return problem.model_dump_json(exclude_none=True).encode()

    def response(self, request_id: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
        """The reply."""
        return Response(
            self.document(request_id), self.kind.status, {**self.headers, **(headers or {})}, media_type=MEDIA_TYPE
        )


def as_problem(error: Exception, request_id: str) -> ProblemError:
    """The problem behind an exception. What went wrong on our side is told to the log, not to the client."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, UnknownModelError):
        return ProblemError("unknown-model", str(error), "model")
    if isinstance(error, EngineFailedError):
        _LOG.error("request %s: %s", request_id, error)
        return ProblemError(error.reason, "the model failed on this request: try again, or report the request id")
    if isinstance(error, RefusalError):
        return ProblemError(error.reason, str(error), getattr(error, "field", _FIELDS.get(error.reason)))
    _LOG.error("request %s failed:\n%s", request_id, outline(error))
    return ProblemError("internal-error", "something went wrong on our side: report it with the request id")


def check_content_type(given: str, taken: str = "application/json") -> None:
    """Refuse a body that is not sent as JSON; `taken` tells what may be sent.

    Raises:
        ProblemError: it is of another type, or of none.
    """
    if not _JSON_TYPE.fullmatch(given.partition(";")[0].strip()):
        sent_as = f"is {given!r}" if given else "names no Content-Type"
        raise ProblemError("unsupported-media-type", f"the body {sent_as}: send Content-Type: {taken}")


def from_validation(error: ValidationError) -> ProblemError:
    """The problem behind a body that does not fit its model."""
    faults = error.errors(include_url=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        return ProblemError("invalid-json", f"the body is not JSON: {faults[0]['ctx']['error']}")
    described = [Fault(field=_path(fault["loc"]), detail=_describe(fault)) for fault in faults[:_MOST_FAULTS]]
    detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in described)
    if len(faults) > _MOST_FAULTS:
        detail += f"; and {len(faults) - _MOST_FAULTS} more"
    return ProblemError("invalid-request", detail, described[0].field, described)


def from_status(error: HTTPException, request: Request) -> ProblemError:
    """The problem behind a status that the framework raises."""
    slug = _BY_STATUS[error.status_code]
    details = {
        "not-found": f"nothing is at {request.url.path}: see /v1/openapi.json for what there is",
        "method-not-allowed": f"{request.url.path} does not take {request.method}: see /v1/openapi.json",
    }
    return ProblemError(slug, details[slug])


def _path(location: Sequence[Any]) -> str:
    return _shortened(".".join(map(str, location))) or "body"


def _shortened(text: str) -> str:
    """What is quoted from a request may be as long as its body."""
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "…"


def _describe(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return "unknown field: check its spelling, or leave it out"
    if fault["type"] == "missing":
        return "required: the body must hold it"
    if fault["type"].startswith("bool"):
        return f"{fault['msg']}: true or false"
    return str(fault["msg"])
