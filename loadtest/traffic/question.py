"""A request that is about to be sent, and what its reply must be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Check = Callable[[dict[str, Any]], str | None]
"""What is wrong with one result of a reply; None where nothing is."""

Outcome = Literal["answered", "refused", "failed"]

JSON = "application/json"
_REFUSED = 429


@dataclass(frozen=True)
class Question:
    """One POST: `task` is what the service's metrics call it, `find_fault` reads the status and body of the reply."""

    task: str
    path: str
    content: bytes
    find_fault: Callable[[int, bytes], str | None]
    content_type: str = JSON

    def judge(self, status: int, body: bytes, headers: Mapping[str, str]) -> tuple[Outcome, str | None]:
        """What became of it, and what is wrong: a refusal must say when to come again."""
        if status == _REFUSED:
            sound = "retry-after" in {name.lower() for name in headers} and b"urn:seqserve:problem:" in body
            return (
                ("refused", None) if sound else ("failed", f"a refusal without Retry-After or reason: {body[:200]!r}")
            )
        try:
            fault = self.find_fault(status, body)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            fault = f"a reply of another form: {error!r}"
        return ("failed", fault) if fault else ("answered", None)


def ask_json(task: str, path: str, body: dict[str, Any], results: str, wrong: list[Check]) -> Question:
    """A question in JSON; its reply holds one of `results` for each of `wrong`, in this order."""
    return Question(task, path, json.dumps(body).encode(), expect(results, wrong))


def expect(results: str, wrong: list[Check]) -> Callable[[int, bytes], str | None]:
    """Finds what is wrong with a reply that should hold so many results."""

    def find_fault(status: int, body: bytes) -> str | None:
        if status != 200:
            return unexpected(status, body)
        found = json.loads(body)[results]
        if len(found) != len(wrong):
            return f"{len(found)} {results} where {len(wrong)} were asked for"
        return next((fault for check, each in zip(wrong, found, strict=True) if (fault := check(each))), None)

    return find_fault


def unexpected(status: int, body: bytes) -> str:
    """How a status that should not be is told: by the kind of its problem where it is one, which many share."""
    try:
        return f"status {status} ({json.loads(body)['type'].rpartition(':')[2]})"
    except (ValueError, TypeError, KeyError):
        return f"status {status}: {body[:100].decode(errors='replace')}"
