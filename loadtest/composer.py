"""Somebody who has tunes written and played."""

from __future__ import annotations

from typing import Any

from locust import task

from loadtest.asker import Asker, wrong_text

_PROMPTS = ("", "M:6/8\nK:D\n", "M:4/4\nL:1/8\nK:G\n", "M:3/4\nL:1/4\nK:C\nG|cdc|")
_SEEDS = 20
_LENGTH = 60


class Composer(Asker):
    """Has tunes written; one that was written before must come out the same, whatever else is running."""

    def on_start(self) -> None:
        """Begin with no tune known."""
        super().on_start()
        self._known: dict[tuple[str, int], str] = {}

    @task(6)
    def compose(self) -> None:
        """One tune."""
        self._compose([self.random.choice(_PROMPTS)])

    @task(1)
    def compose_list(self) -> None:
        """Several tunes in one request."""
        self._compose(list(_PROMPTS))

    @task(2)
    def play(self) -> None:
        """One tune as a MIDI file."""
        seed = self.random.randrange(_SEEDS)
        body = {"prompt": self.random.choice(_PROMPTS[1:]), "seed": seed, "max_length": _LENGTH}
        with self.client.post("/v1/generate/midi", json=body, catch_response=True) as response:
            if fault := wrong_midi(response.status_code, response.content):
                response.failure(fault)
            else:
                response.success()

    def _compose(self, prompts: list[str]) -> None:
        seed = self.random.randrange(_SEEDS)
        asked = {(seed + place): prompt for place, prompt in enumerate(prompts)}

        def wrong(found: dict[str, Any]) -> str | None:
            known = self._known.setdefault((asked[found["seed"]], found["seed"]), found["text"])
            return wrong_passage(found, known)

        body = {"prompt": prompts, "seed": seed, "max_length": _LENGTH}
        self.ask("/v1/generate", body, "generations", len(prompts), wrong)


def wrong_passage(found: dict[str, Any], known: str) -> str | None:
    """What is wrong with a text whose seed wrote `known` before."""
    return "another text of the same seed" if found["text"] != known else wrong_text(found)


def wrong_midi(status: int, content: bytes) -> str | None:
    """What is wrong with a tune that was played; what was drawn may be none, which is told with 422."""
    sound = (status == 200 and content.startswith(b"MThd")) or (status == 422 and b"invalid-tune" in content)
    return None if sound else f"status {status}: {content[:200]!r}"
