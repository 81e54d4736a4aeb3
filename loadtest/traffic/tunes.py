"""Tunes that are written and played."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.traffic.asker import Asker
from loadtest.traffic.question import Check, Question, ask_json, unexpected
from loadtest.traffic.texts import wrong_text

_SEEDS, _LENGTH, _LIST = 20, 60, 4


class Composer(Asker):
    """Has tunes written; one that was written before must come out the same, whatever else is running."""

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {self._one: 6, self._several: 1, self._play: 2}

    def _one(self) -> Question:
        return self._compose(1)

    def _several(self) -> Question:
        return self._compose(_LIST)

    def _play(self) -> Question:
        """One tune as a MIDI file."""
        body = self._body(self.random.choice(self.material.generate))
        return Question("generate", "/v1/generate/midi", json.dumps(body).encode(), wrong_midi)

    def _compose(self, count: int) -> Question:
        prompts = self.random.choices(self.material.generate, k=count)
        body = self._body(prompts)
        wrong = [self._check(prompt, body["seed"] + place) for place, prompt in enumerate(prompts)]
        return ask_json("generate", "/v1/generate", body, "generations", wrong)

    def _body(self, prompt: str | list[str]) -> dict[str, Any]:
        return {"prompt": prompt, "seed": self.random.randrange(_SEEDS), "max_length": _LENGTH}

    def _check(self, prompt: str, seed: int) -> Check:
        def wrong(found: dict[str, Any]) -> str | None:
            if found["seed"] != seed:
                return f"seed {found['seed']} where {seed} was asked for"
            differs = self.memory.differs(("generate", prompt, seed), found["text"], found["score"])
            return wrong_text(found) or differs

        return wrong


def wrong_midi(status: int, content: bytes) -> str | None:
    """What is wrong with a tune that was played; what was drawn may be none, which is told with 422."""
    sound = (status == 200 and content.startswith(b"MThd")) or (status == 422 and b"invalid-tune" in content)
    return None if sound else unexpected(status, content)
