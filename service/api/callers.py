"""Who asks: whether they may, and whether they do so too often."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Scope

from service.api.context import RequestContext
from service.api.errors import ProblemError
from service.api.rate import Rate
from service.keys import KeyFile
from service.settings import Settings

_CHALLENGE = 'Bearer realm="seqserve"'
_NOWHERE = "?"
"""The address of those that have none, as of a client that has hung up already."""
_SEND = "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"


class Callers:
    """Those who may ask for what is not open to everybody. Event loop only.

    Raises:
        KeyFileError: the keys cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = KeyFile(settings.key_file) if settings.key_file else None
        self._rate = Rate(settings.rate_limit) if settings.rate_limit else None

    def admit(self, scope: Scope, headers: Mapping[bytes, bytes], task: str, context: RequestContext) -> None:
        """Let a request in; tell its context whose key it has, where keys are asked for.

        Raises:
            ProblemError: it has none, or a wrong one, or one that is not for the task, or its caller asks too often.
        """
        if self._keys is not None:
            context.caller = _name_of(self._keys, headers, task)
        if self._rate is not None:
            self._rate.take(context.caller or _address(scope))


def _name_of(keys: KeyFile, headers: Mapping[bytes, bytes], task: str) -> str:
    given = _given(headers)
    if given is None:
        raise ProblemError("missing-key", f"an API key is needed: {_SEND}", headers=_challenge())
    key = keys.find(given)
    if key is None:
        told = "the API key is not one that is taken: check that it is whole, and still valid"
        raise ProblemError("invalid-key", told, headers=_challenge("invalid_token"))
    if key.tasks and task and task not in key.tasks:
        told = f"the API key is for {', '.join(sorted(key.tasks))}, not for {task}: use another one"
        raise ProblemError("key-not-allowed", told, headers=_challenge("insufficient_scope"))
    return key.name


def _given(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    # Another scheme may be for a proxy before us.
    return key.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key")


def _challenge(error: str = "") -> dict[str, str]:
    return {"www-authenticate": f'{_CHALLENGE}, error="{error}"' if error else _CHALLENGE}


def _address(scope: Scope) -> str:
    """Whom a request without a key counts for; a proxy's address unless the server is told to trust that proxy."""
    client = scope.get("client")
    return client[0] if client else _NOWHERE
