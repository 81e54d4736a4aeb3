"""Tagging: text → sentences → words → one row of the model each → named entities, placed in the text."""

from __future__ import annotations

from dataclasses import dataclass

from contract.preprocessing import TagPreprocessing
from contract.sentences import Sentence, split_sentences
from contract.tags import Entity, TagSet
from contract.text import Encoding
from contract.words import WordCodec
from service.runtime.bundle import Bundle
from service.runtime.oneshot import OneShotEngine
from service.runtime.requests import Prediction, PredictRequest
from service.tasks.errors import EmptyTextError, TextTooLongError, check_characters
from service.tasks.limits import RequestLimits


@dataclass(frozen=True)
class Options:
    """How to tag."""

    truncate: bool = False


@dataclass(frozen=True)
class Tagging:
    """The entities of a text in order. `truncated`: a sentence was cut before it was read."""

    entities: list[Entity]
    truncated: bool


class Tagger:
    """What stands before and after the model of one bundle."""

    def __init__(self, bundle: Bundle, engine: OneShotEngine, limits: RequestLimits | None = None) -> None:
        self.engine = engine
        self._manifest = bundle.manifest
        self._limits = limits or RequestLimits()
        preprocessing = self._manifest.preprocessing
        assert isinstance(preprocessing, TagPreprocessing)
        folder, characters = bundle.folder, preprocessing.characters
        self.codec = WordCodec.load(folder / preprocessing.tokenizer, folder / characters if characters else None)
        self.tags = TagSet.load(folder / preprocessing.tags)
        self._language = preprocessing.language

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the entities that it finds."""
        return self.tags.labels

    def read(self, text: str, options: Options, field: str) -> Sentences:
        """A text as the work that it is. `field` names the text in errors.

        Raises:
            EmptyTextError, TextTooLongError: there is nothing to tag, or a sentence is longer than the model reads.
        """
        check_characters(text, self._limits.characters, field)
        sentences = split_sentences(text, self._language)
        if not sentences:
            raise EmptyTextError(field)
        whole = [self._encode(sentence) for sentence in sentences]
        limit = self._manifest.limits.of("source")
        longest = max(whole, key=lambda words: len(words.ids))
        truncated = len(longest.ids) > limit
        if truncated and not options.truncate:
            detail = (
                f"a sentence (from character {longest.offsets[0][0]}) has {len(longest.ids)} words, the limit of model "
                f"{self._manifest.name!r} is {limit}: shorten it, or set truncate to true"
            )
            raise TextTooLongError(detail, field)
        return Sentences(self, text, [_first(words, limit) for words in whole if words.ids], truncated)

    def _encode(self, sentence: Sentence) -> Encoding:
        """The words of a sentence, placed in the text that it is from."""
        words = self.codec.encode(sentence.text)
        offsets = [(start + sentence.start, end + sentence.start) for start, end in words.offsets]
        return Encoding(words.ids, words.tokens, offsets)


@dataclass(frozen=True)
class Sentences:
    """A text's work: the words of its sentences. A sentence without words takes no row."""

    tagger: Tagger
    text: str
    words: list[Encoding]
    truncated: bool

    @property
    def size(self) -> int:
        """Words of all sentences."""
        return sum(len(words.ids) for words in self.words)

    @property
    def rows(self) -> int:
        """Number of sentences."""
        return len(self.words)

    @property
    def explains(self) -> bool:
        """Never: entities show where they stand."""
        return False

    def requests(self, deadline: float | None, group: int) -> list[PredictRequest]:
        """A row for each sentence."""
        inputs = self.tagger.codec.inputs
        return [PredictRequest(inputs(self.text, words), deadline, group) for words in self.words]

    def result(self, outcomes: list[Prediction]) -> Tagging:
        """The entities of all sentences."""
        found: list[Entity] = []
        for words, outcome in zip(self.words, outcomes, strict=True):
            found += self.tagger.tags.entities(outcome.outputs["emissions"], self.text, words.offsets)
        return Tagging(found, self.truncated)


def _first(words: Encoding, limit: int) -> Encoding:
    if len(words.ids) <= limit:
        return words
    return Encoding(words.ids[:limit], words.tokens[:limit], words.offsets[:limit])
