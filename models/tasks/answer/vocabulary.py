"""What a run learns from its stories before any weight: their words, and the answers to choose from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from contract.text import PAD, UNK, InputCodec
from models.data.lines import DataError
from models.data.stories import Story

WORDS, ANSWERS = "words.json", "answers.json"

SPLITTER = r"[\p{L}\p{M}\p{N}]+(?:[-'\x{2019}][\p{L}\p{M}\p{N}]+)*"
"""A word; what stands between words, punctuation too, says nothing."""


@dataclass(frozen=True)
class StoryVocabulary:
    """The words that a model reads and the answers that it chooses from, in the order of its scores."""

    words: InputCodec
    answers: tuple[str, ...]

    @classmethod
    def learn(cls, stories: Iterable[Story]) -> StoryVocabulary:
        """All words and answers of stories; the answers' ids come first among the words'.

        Raises:
            DataError: there are fewer than two answers.
        """
        told = list(stories)
        answers: dict[str, str] = {}
        for answer in sorted({asked.answer for story in told for asked in story.asked}):
            answers.setdefault(_normal(answer), answer)
        if len(answers) < 2:
            raise DataError(f"{len(answers)} different answers: the training stories must ask for two or more")
        split = _tokenizer(()).pre_tokenizer.pre_tokenize_str
        texts = {text for story in told for text in (*story.sentences, *(asked.question for asked in story.asked))}
        words = {word for text in texts for word, _ in split(_normal(text))}
        return cls(InputCodec(_tokenizer((*answers, *sorted(words - {*answers})))), tuple(answers.values()))

    @classmethod
    def load(cls, folder: Path) -> StoryVocabulary:
        """Read it from a run folder."""
        answers = json.loads((folder / ANSWERS).read_text("utf-8"))
        return cls(InputCodec.load(folder / WORDS), tuple(answers))

    def save(self, folder: Path) -> None:
        """Write it into a run folder."""
        self.words.save(folder / WORDS)
        (folder / ANSWERS).write_text(json.dumps(self.answers, ensure_ascii=False) + "\n", "utf-8")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {_normal(answer): place for place, answer in enumerate(self.answers)}

    def place(self, answer: str) -> int | None:
        """Place of an answer among the model's scores; None when training has none like it."""
        return self._places.get(_normal(answer))


def _normal(text: str) -> str:
    normal: str = _NORMALISER.normalize_str(text)
    return normal


_NORMALISER = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])


def _tokenizer(words: Iterable[str]) -> Tokenizer:
    vocabulary = {word: index for index, word in enumerate((PAD, UNK, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.normalizer = _NORMALISER
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SPLITTER), behavior="removed", invert=True)
    tokenizer.add_special_tokens([PAD, UNK])
    return tokenizer
