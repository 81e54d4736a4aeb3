"""A translate request between HTTP and the engine: many texts, each of many sentences, as one flat list."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.api.schemas import TranslateReply, translation_reply
from service.catalogue import Model
from service.runtime.errors import DeadlineExceededError
from service.runtime.requests import GenerateRequest, Generation, Search
from service.settings import Settings
from service.tasks.errors import BadOptionError, TooManySentencesError
from service.tasks.translate import Options, Piece, Translation

_INLINE_CHARACTERS = 4_000
"""Up to here, reading a text is quicker than handing it to a thread and back."""
_EXPLAINING = ThreadPoolExecutor(1, "explain")
"""One at a time: an attention map is for looking at, and must not take the cores from translating."""


@dataclass(frozen=True)
class Job:
    """One request's work. `texts` holds the sentences of each text."""

    model: Model
    options: Options
    search: Search
    texts: list[list[Piece]]

    @property
    def pieces(self) -> list[Piece]:
        """All sentences in order."""
        return [piece for pieces in self.texts for piece in pieces]

    @classmethod
    async def prepare(cls, model: Model, texts: list[str], options: Options, settings: Settings) -> Job:
        """Read a request's texts.

        Raises:
            RefusalError: a text or an option that is not taken.
        """
        started = time.perf_counter()
        if len(texts) > settings.max_items:
            raise BadOptionError(f"{len(texts)} texts, the limit is {settings.max_items}: send fewer at a time", "text")
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            job = cls._read(model, texts, options, settings)
        else:
            job = await asyncio.to_thread(cls._read, model, texts, options, settings)
        tokens = sum(len(piece.source.ids) for piece in job.pieces)
        model.metrics.preprocessed(time.perf_counter() - started, tokens)
        return job

    @classmethod
    def _read(cls, model: Model, texts: list[str], options: Options, settings: Settings) -> Job:
        search = model.translator.search(options)
        fields = ["text"] if len(texts) == 1 else [f"text.{index}" for index in range(len(texts))]
        read = [model.translator.read(text, options, field) for text, field in zip(texts, fields, strict=True)]
        count = sum(map(len, read))
        if count > settings.max_sentences:
            raise TooManySentencesError(count, settings.max_sentences, "text")
        return cls(model, options, search, read)

    def requests(self, deadline: float) -> list[GenerateRequest]:
        """The engine's requests, sentence by sentence. `deadline` is a `time.monotonic()` instant."""
        translator = self.model.translator
        return [translator.request(piece, self.search, self.options, deadline) for piece in self.pieces]

    async def reply(self, generations: list[Generation], deadline: float) -> TranslateReply:
        """The reply, from the results of all sentences in order.

        Raises:
            DeadlineExceededError: the deadline passed over the explanation.
        """
        started = time.perf_counter()
        parts = self._by_text(generations)
        write = self.model.translator.write
        translations = [write(p, g, self.search) for p, g in zip(self.texts, parts, strict=True)]
        if self.options.explain:
            translations = await self._explained(parts, translations, deadline)
        manifest = self.model.bundle.manifest
        replies = [translation_reply(translation, self.options) for translation in translations]
        reply = TranslateReply(model=manifest.name, version=manifest.version, translations=replies)
        self.model.metrics.postprocessed(time.perf_counter() - started)
        return reply

    def _by_text(self, generations: list[Generation]) -> list[list[Generation]]:
        results = iter(generations)
        return [[next(results) for _ in pieces] for pieces in self.texts]

    async def _explained(
        self, parts: list[list[Generation]], translations: list[Translation], deadline: float
    ) -> list[Translation]:
        translator, engine = self.model.translator, self.model.engine
        loop = asyncio.get_running_loop()

        def explain() -> list[Translation]:
            return [
                translator.explain(engine, pieces, generations, translation)
                for pieces, generations, translation in zip(self.texts, parts, translations, strict=True)
            ]

        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await loop.run_in_executor(_EXPLAINING, explain)
        except TimeoutError:
            raise DeadlineExceededError from None
