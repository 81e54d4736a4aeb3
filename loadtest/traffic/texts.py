"""Texts that are translated, classified and searched for names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from loadtest.traffic.asker import Asker
from loadtest.traffic.question import JSON, Check, Question, ask_json, unexpected

_LIST = 6
"""Texts in a request that holds several."""


class Reader(Asker):
    """Has captions translated."""

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {self._default: 6, self._greedy: 3, self._several: 1, self._stream: 1}

    def _default(self) -> Question:
        return self._ask(self.random.choices(self.material.translate), {})

    def _greedy(self) -> Question:
        return self._ask(self.random.choices(self.material.translate), {"beam_size": 1})

    def _several(self) -> Question:
        return self._ask(self.random.choices(self.material.translate, k=_LIST), {})

    def _stream(self) -> Question:
        text = self.random.choice(self.material.translate)
        check = self._check(text, {})
        content = json.dumps({"text": text}).encode()
        return Question("translate", "/v1/translate/stream", content, lambda s, b: wrong_stream(s, b, check), JSON)

    def _ask(self, texts: list[str], options: dict[str, Any]) -> Question:
        body = {"text": texts if len(texts) > 1 else texts[0], **options}
        return ask_json("translate", "/v1/translate", body, "translations", [self._check(t, options) for t in texts])

    def _check(self, text: str, options: dict[str, Any]) -> Check:
        key = "translate", text, *options.items()
        return lambda found: wrong_text(found) or self.memory.differs(key, found["text"], found["score"])


class Critic(Asker):
    """Has reviews classified."""

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {partial(self._ask, 1): 9, partial(self._ask, _LIST): 1}

    def _ask(self, count: int) -> Question:
        texts = self.random.choices(self.material.classify, k=count)
        return ask_json("classify", "/v1/classify", {"text": texts}, "predictions", [self._check(t) for t in texts])

    def _check(self, text: str) -> Check:
        key = "classify", text
        return lambda found: wrong_prediction(found) or self.memory.differs(key, found["label"], found["score"])


class Indexer(Asker):
    """Looks for names in the news."""

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {partial(self._ask, 1): 9, partial(self._ask, _LIST): 1}

    def _ask(self, count: int) -> Question:
        texts = self.random.choices(self.material.tag, k=count)
        return ask_json("tag", "/v1/tag", {"text": texts}, "predictions", [self._check(t) for t in texts])

    def _check(self, text: str) -> Check:
        def wrong(found: dict[str, Any]) -> str | None:
            entities = found["entities"]
            names = ", ".join(f"{each['text']} ({each['label']})" for each in entities)
            return wrong_entities(found, text) or self.memory.differs(
                ("tag", text), names, sum(each["score"] for each in entities)
            )

        return wrong


def wrong_text(found: dict[str, Any]) -> str | None:
    """What is wrong with a translation or a caption."""
    return None if found["text"] and found["score"] <= 0 else "an empty text, or a score above 0"


def wrong_stream(status: int, body: bytes, wrong: Check) -> str | None:
    """What is wrong with a streamed translation: its pieces must add up to the text that ends it."""
    if status != 200:
        return unexpected(status, body)
    pieces = []
    for event in body.decode().replace("\r\n", "\n").split("\n\n"):
        name, _, data = event.partition("\ndata: ")
        if name == "event: token":
            pieces.append(json.loads(data)["text"])
        elif name == "event: done":
            (found,) = json.loads(data)["translations"]
            return wrong(found) if "".join(pieces) == found["text"] else f"pieces {pieces} of {found['text']!r}"
    return "a stream without an end"


def wrong_prediction(found: dict[str, Any]) -> str | None:
    """What is wrong with a prediction."""
    scores = [each["score"] for each in found["labels"]]
    sound = found["label"] == found["labels"][0]["label"] and 0 < sum(scores) < 1.001
    return None if sound and scores == sorted(scores, reverse=True) else "labels in no order, or no probabilities"


def wrong_entities(found: dict[str, Any], text: str) -> str | None:
    """What is wrong with the entities of a text: each must stand where it is said to."""
    sound = all(text[each["start"] : each["end"]] == each["text"] for each in found["entities"])
    return None if sound else "an entity that is not in the text"
