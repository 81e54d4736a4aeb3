"""The other side of the comparison: CTranslate2 in this process, in the fastest way that its interface has."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctranslate2 import AsyncTranslationResult, Translator

from service.runtime.requests import Search

Tokens = list[str]


@dataclass(frozen=True)
class Way:
    """How so many waiting requests are handed over.

    `batch` of them at a time go into one call, which sorts them by length and splits them into parts of `part`, so
    that less is padding. `asynchronous`: each is a call of its own, and as one is done the next is made.
    """

    batch: int
    part: int
    asynchronous: bool = False

    def __str__(self) -> str:
        if self.asynchronous:
            return f"{self.batch} asynchronous calls"
        return f"calls of {self.batch}" + (f", parts of {self.part}" if self.part < self.batch else "")


def ways(waiting: int) -> list[Way]:
    """Every sensible way to hand over so many waiting requests."""
    if waiting == 1:
        return [Way(1, 1)]
    parts = [part for part in (waiting, waiting // 2, waiting // 4) if part >= 2]
    return [*(Way(waiting, part) for part in parts), Way(waiting, 1, asynchronous=True)]


class Peer:
    """CTranslate2 on one thread."""

    def __init__(self, model: Path, compute_type: str = "int8") -> None:
        self._translator = Translator(
            str(model), device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=1, max_queued_batches=-1
        )

    def translate(self, sources: Sequence[Tokens], search: Search, way: Way, *, scores: bool = False) -> list[Tokens]:
        """The best translation of each, in order."""
        options: dict[str, object] = {
            "beam_size": search.beam_size,
            "length_penalty": search.length_penalty,
            "max_decoding_length": search.max_length,
            "min_decoding_length": 0,
            "max_input_length": 0,
            "return_scores": scores,
        }
        if way.asynchronous:
            return self._one_by_one(sources, way.batch, options)
        found: list[Tokens] = []
        for start in range(0, len(sources), way.batch):
            batch = list(sources[start : start + way.batch])
            results = self._translator.translate_batch(batch, max_batch_size=way.part, **options)
            found += [result.hypotheses[0] for result in results]
        return found

    def _one_by_one(self, sources: Sequence[Tokens], outstanding: int, options: dict[str, object]) -> list[Tokens]:
        running: deque[AsyncTranslationResult] = deque()
        found: list[Tokens] = []
        for source in sources:
            if len(running) == outstanding:
                found.append(running.popleft().result().hypotheses[0])
            running += self._translator.translate_batch([source], asynchronous=True, **options)
        return found + [result.result().hypotheses[0] for result in running]
