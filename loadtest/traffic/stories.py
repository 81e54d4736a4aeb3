"""Stories that are told, and asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle, islice
from random import Random
from typing import Any

from loadtest.traffic.asker import Asker
from loadtest.traffic.material import Material, Story
from loadtest.traffic.memory import Memory
from loadtest.traffic.question import Question, ask_json

_PEOPLE = ("Mary", "John", "Sandra", "Daniel")
_PLACES = ("kitchen", "garden", "hallway", "bathroom", "bedroom", "office")
_STORIES, _SENTENCES = 60, 12
"""Stories that are made up, and their sentences at most."""
_QUESTIONS, _BEYOND = 5, 10
"""Questions about one story; sentences of one that is too long, beyond what is read."""


class Listener(Asker):
    """Asks who is where; what is said of a story tells whether all of it was read."""

    def __init__(self, material: Material, memory: Memory, random: Random, limits: Mapping[str, int]) -> None:
        super().__init__(material, memory, random, limits)
        self._stories = material.stories or [self._make_up(random.randint(1, _SENTENCES)) for _ in range(_STORIES)]

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {self._once: 8, self._much: 1, self._after_much: 1}

    def _once(self) -> Question:
        """One question about a short story."""
        story = self.random.choice(self._stories)
        return self._ask(story.sentences, [story.question])

    def _much(self) -> Question:
        """Several questions about one story."""
        story, *others = self.random.choices(self._stories, k=_QUESTIONS)
        return self._ask(story.sentences, [each.question for each in (story, *others)])

    def _after_much(self) -> Question:
        """One question about a story longer than what is read of it, and where the model looked."""
        story = self.random.choice(self._stories)
        sentences = list(islice(cycle(story.sentences), self.limits["sentences"] + _BEYOND))
        return self._ask(sentences, [story.question], explain=True)

    def _make_up(self, sentences: int) -> Story:
        choose = self.random.choice
        told = [f"{choose(_PEOPLE)} went to the {choose(_PLACES)}." for _ in range(sentences)]
        return Story(told, f"Where is {choose(_PEOPLE)}?")

    def _ask(self, story: list[str], questions: list[str], **options: Any) -> Question:
        body = {"story": story, "question": questions, **options}
        truncated = len(story) > self.limits["sentences"]

        def check(question: str) -> Callable[[dict[str, Any]], str | None]:
            key = "answer", tuple(story), question
            return lambda found: (
                wrong_answer(found, truncated) or self.memory.differs(key, found["text"], found["score"])
            )

        return ask_json("answer", "/v1/answer", body, "answers", [check(question) for question in questions])


def wrong_answer(found: dict[str, Any], truncated: bool) -> str | None:
    """What is wrong with an answer about a story of which all was read, or with `truncated` the end."""
    scores = [each["score"] for each in found["answers"]]
    if not 0 < sum(scores) < 1.001 or scores != sorted(scores, reverse=True):
        return "answers in no order, or no probabilities"
    if found["text"] != found["answers"][0]["text"]:
        return "an answer that is not the best one"
    return None if found.get("truncated", False) == truncated else "wrong about how much of the story was read"
