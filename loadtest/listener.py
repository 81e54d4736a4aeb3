"""Somebody who is told stories and asks about them."""

from __future__ import annotations

from typing import Any

from locust import task

from loadtest.asker import Asker

_PEOPLE = ("Mary", "John", "Sandra", "Daniel")
_PLACES = ("kitchen", "garden", "hallway", "bathroom", "bedroom", "office")
_READ = 50
"""Sentences of a story that the shipped model reads, the last ones."""


class Listener(Asker):
    """Asks who is where; what is said of a story tells whether all of it was read."""

    @task(8)
    def ask_once(self) -> None:
        """One question about a short story."""
        self._ask(self._story(self.random.randint(1, 12)), [self._question()])

    @task(1)
    def ask_much(self) -> None:
        """Several questions about one story."""
        self._ask(self._story(20), [self._question() for _ in range(5)])

    @task(1)
    def ask_after_much(self) -> None:
        """One question about a story longer than what is read of it, and where the model looked."""
        self._ask(self._story(_READ + 10), [self._question()], explain=True)

    def _story(self, sentences: int) -> list[str]:
        choose = self.random.choice
        return [f"{choose(_PEOPLE)} went to the {choose(_PLACES)}." for _ in range(sentences)]

    def _question(self) -> str:
        return f"Where is {self.random.choice(_PEOPLE)}?"

    def _ask(self, story: list[str], questions: list[str], **options: Any) -> None:
        body = {"story": story, "question": questions, **options}
        truncated = len(story) > _READ
        self.ask("/v1/answer", body, "answers", len(questions), lambda found: wrong_answer(found, truncated))


def wrong_answer(found: dict[str, Any], truncated: bool) -> str | None:
    """What is wrong with an answer about a story of which all was read, or with `truncated` the end."""
    scores = [each["score"] for each in found["answers"]]
    if not 0 < sum(scores) < 1.001 or scores != sorted(scores, reverse=True):
        return "answers in no order, or no probabilities"
    if found["text"] != found["answers"][0]["text"]:
        return "an answer that is not the best one"
    return None if found.get("truncated", False) == truncated else "wrong about how much of the story was read"
