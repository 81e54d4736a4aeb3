"""Questions of each split, the rows that a model reads, and batches of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contract.inputs import story_row
from contract.rows import Array, Row
from contract.signature import Tensor
from models.answerer import STORY_INPUTS
from models.data.stories import Question, Story, carve, questions, read_stories
from models.tasks.answer.config import AnswerData, AnswerTraining
from models.tasks.answer.vocabulary import StoryVocabulary
from models.training.config import Split
from models.training.data import RowData, read_part

ANSWER = Tensor(name="answers", dtype="int64", axes=("rows",))
"""Place of the right answer among the scores, or `UNKNOWN` where training has none like it."""
UNKNOWN = -100


def read_split(data: AnswerData, root: Path, split: Split) -> list[Story]:
    """The stories of one split; validation is carved from the training set where the config names none.

    Raises:
        ConfigError: the config names no files for the split.
        DataError: a file is missing or broken.
    """
    return read_part(data, split, lambda files: read_stories(files, root), carve)


class StoryEncoder:
    """Questions as rows of ids: the last sentences of their stories, and so many words of each as the config says."""

    def __init__(self, vocabulary: StoryVocabulary, data: AnswerData) -> None:
        self._vocabulary = vocabulary
        self._sentences, self._words = data.max_sentences, data.max_words
        self._known: dict[str, list[int]] = {}

    def inputs(self, question: Question) -> Row:
        """The model's inputs of one question."""
        story = question.story[-self._sentences :]
        return story_row([self._ids(sentence) for sentence in story], self._ids(question.question))

    def rows(self, stories: Sequence[Story]) -> list[Row]:
        """Rows of inputs and, beside them, the answer, of all questions of stories."""
        return [{**self.inputs(asked), ANSWER.name: self._answer(asked.answer)} for asked in questions(stories)]

    def _ids(self, text: str) -> list[int]:
        if text not in self._known:  # the sentences of a story come back with each of its questions
            self._known[text] = self._vocabulary.words.encode(text).ids[: self._words]
        return self._known[text]

    def _answer(self, answer: str) -> Array:
        place = self._vocabulary.place(answer)
        return np.array(UNKNOWN if place is None else place, np.int64)


class StoryBatches(RowData):
    """Batches of so many questions of all stories alike: stories of similar sizes are of one task more often than not.

    Args:
        train: rows of inputs and answers.
        validation: rows in the order in which the task wants them back.
        training: how many rows a batch has.
        seed: of the shuffling.
    """

    def __init__(self, train: Sequence[Row], validation: Sequence[Row], training: AnswerTraining, seed: int) -> None:
        tensors = (*STORY_INPUTS, ANSWER)
        super().__init__(tensors, lambda _epoch: train, validation, batch_tokens=training.batch_tokens, seed=seed)
        self._batch_rows = training.batch_rows

    def plan(self, rows: Sequence[Row], seed: int) -> list[list[int]]:
        order = list(range(len(rows)))
        random.Random(seed).shuffle(order)  # noqa: S311 shuffling keeps no secrets
        return [order[start : start + self._batch_rows] for start in range(0, len(order), self._batch_rows)]
