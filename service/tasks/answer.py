"""Questions about stories: sentences and a question → word ids → one row of the model → answers with probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.inputs import story_row
from contract.preprocessing import StoryPreprocessing
from contract.signature import PredictSignature
from contract.text import UNK, InputCodec
from service.runtime.bundle import Bundle
from service.runtime.errors import NoAttentionError
from service.runtime.oneshot import OneShotEngine
from service.runtime.requests import Prediction
from service.tasks.attention import as_lists
from service.tasks.errors import EmptyStoryError, TextTooLongError, UnknownWordsError, check_characters
from service.tasks.limits import RequestLimits
from service.tasks.ranking import RankingOptions, RankingWork, most_probable

MOST_SENTENCES = 1_000
"""Longest story that is taken at all; a model reads the last sentences of it."""

MOST_NAMED = 10
"""Unknown words that an error names."""


@dataclass(frozen=True)
class Options(RankingOptions):
    """How to answer. The last sentences of a longer story are read, as in training, unless `truncate` says no."""

    truncate: bool = True


@dataclass(frozen=True)
class Asked:
    """A story, the last sentence last, and a question about it. `place` names the story in errors."""

    story: tuple[str, ...]
    question: str
    place: str = "story"

    def __len__(self) -> int:
        """Characters, by which long work is told from short."""
        return sum(map(len, self.story)) + len(self.question)


@dataclass(frozen=True)
class AnswerScore:
    """An answer and its probability."""

    text: str
    score: float


@dataclass(frozen=True)
class SentenceMap:
    """Where the model looked, hop by hop: `weights [hops, sentences]`, of sentences that stood at `positions`."""

    sentences: list[str]
    positions: list[int]
    weights: list[list[float]]


@dataclass(frozen=True)
class Answer:
    """Answers, the most probable one first. `truncated`: only the last sentences of the story were read."""

    answers: list[AnswerScore]
    truncated: bool
    attention: SentenceMap | None = None


class Answerer:
    """What stands before and after the model of one bundle."""

    def __init__(self, bundle: Bundle, engine: OneShotEngine, limits: RequestLimits | None = None) -> None:
        self.engine = engine
        self._manifest = bundle.manifest
        self._limits = limits or RequestLimits()
        preprocessing, signature = self._manifest.preprocessing, self._manifest.signature
        assert isinstance(preprocessing, StoryPreprocessing)
        assert isinstance(signature, PredictSignature)
        self.answers = preprocessing.answers
        self.attention = signature.attention
        self._codec = InputCodec.load(bundle.folder / preprocessing.tokenizer)
        self._unknown = self._codec.token_id(UNK)

    def read(self, asked: Asked, options: Options, field: str) -> Question:
        """A story and a question as the work that they are. `field` names the question in errors.

        Raises:
            EmptyStoryError: there is no question, no story, or a sentence of no words.
            TextTooLongError: too many sentences, or too many words in one.
            UnknownWordsError: words that the model has never seen, in the question or in what is read of the story.
            NoAttentionError: an explanation of a model without attention.
        """
        if options.explain and not self.attention:
            raise NoAttentionError(self._manifest.name)
        first = self._first_read(asked, options)
        texts = {f"{asked.place}.{first + index}": text for index, text in enumerate(asked.story[first:])}
        texts[field] = asked.question
        *story, question = self._encode(texts)
        return Question(inputs=story_row(story, question), options=options, answerer=self, asked=asked, first=first)

    def _first_read(self, asked: Asked, options: Options) -> int:
        """Place of the first sentence that is read."""
        count, limit = len(asked.story), self._manifest.limits.of("sentences")
        if not asked.story:
            raise EmptyStoryError("the story is empty: send at least one sentence", asked.place)
        if count > MOST_SENTENCES:
            detail = f"{count:,} sentences, the limit is {MOST_SENTENCES:,}: leave out the first ones"
            raise TextTooLongError(detail, asked.place)
        if count > limit and not options.truncate:
            detail = (
                f"{count} sentences, model {self._manifest.name!r} reads the last {limit}: "
                "shorten the story, or set truncate to true"
            )
            raise TextTooLongError(detail, asked.place)
        return max(0, count - limit)

    def _encode(self, texts: Mapping[str, str]) -> list[list[int]]:
        """Word ids of texts by the fields that hold them."""
        limit = self._manifest.limits.of("words")
        unknown: dict[str, str] = {}
        encoded = []
        for field, text in texts.items():
            check_characters(text, self._limits.characters, field)
            encoding = self._codec.encode(text)
            if encoding.offsets[-1] == (0, 0):
                raise EmptyStoryError("there is no word in it: send at least one", field)
            if len(encoding.ids) > limit:
                raise TextTooLongError(f"{len(encoding.ids)} words, the limit is {limit}: shorten it", field)
            for word_id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                if word_id == self._unknown:
                    unknown.setdefault(text[start:end], field)
            encoded.append(encoding.ids)
        if unknown:
            named = ", ".join(map(repr, list(unknown)[:MOST_NAMED])) + ", …" * (len(unknown) > MOST_NAMED)
            detail = f"model {self._manifest.name!r} has never seen {named}: say it in words that the model was taught"
            raise UnknownWordsError(detail, next(iter(unknown.values())))
        return encoded


@dataclass(frozen=True, kw_only=True)
class Question(RankingWork):
    """A question's work: also from which sentence of its story on the model reads."""

    answerer: Answerer
    asked: Asked
    first: int

    @property
    def size(self) -> int:
        """Words that the model reads."""
        return int(self.inputs["word_counts"].sum() + self.inputs["question_lengths"])

    def result(self, outcomes: list[Prediction]) -> Answer:
        """Answers and their probabilities, and with `explains` where the model looked."""
        best = most_probable(outcomes[0].outputs["scores"].tolist(), self.options.top_k)
        answers = [AnswerScore(self.answerer.answers[place], score) for place, score in best]
        return Answer(answers, self.first > 0, self._attention() if self.explains else None)

    def _attention(self) -> SentenceMap:
        (declared,) = self.answerer.attention
        weights = self.answerer.engine.explain(self.inputs)[declared.name]
        positions = list(range(self.first, len(self.asked.story)))
        return SentenceMap(list(self.asked.story[self.first :]), positions, as_lists(weights))
