"""What everybody has in common who asks a service for something: every reply is checked."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from locust import FastHttpUser, constant
from locust.contrib.fasthttp import ResponseContextManager

Check = Callable[[dict[str, Any]], str | None]
"""What is wrong with one result of a reply; None where nothing is."""


class Asker(FastHttpUser):
    """Somebody who sends the next request as soon as the last one is answered: mostly single items, some lists."""

    abstract = True
    wait_time = constant(0)

    def on_start(self) -> None:
        """Begin with choices of its own."""
        self.random = Random()  # noqa: S311  # traffic, not secrets

    def ask(self, path: str, body: dict[str, Any], results: str, expected: int, wrong: Check) -> None:
        """POST a JSON body; the reply must hold so many `results`, none of them `wrong`."""
        self.post(path, results, expected, wrong, json=body)

    def post(self, path: str, results: str, expected: int, wrong: Check, **content: Any) -> None:
        """POST whatever content; the reply must hold so many `results`, none of them `wrong`."""
        with self.client.post(path, catch_response=True, **content) as response:
            if fault := find_fault(response, results, expected, wrong):
                response.failure(fault)


def find_fault(response: ResponseContextManager, results: str, expected: int, wrong: Check) -> str | None:
    """What is wrong with a reply that should hold so many results; None where nothing is."""
    if response.status_code != 200:
        return f"status {response.status_code}: {response.text}"
    found = response.json()[results]
    if len(found) != expected:
        return f"{len(found)} {results} where {expected} were asked for"
    return next((fault for fault in map(wrong, found) if fault), None)


def wrong_text(found: dict[str, Any]) -> str | None:
    """What is wrong with a translation or a caption."""
    return None if found["text"] and found["score"] <= 0 else "an empty text, or a score above 0"
