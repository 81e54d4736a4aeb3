"""Answering questions about stories as a training task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from contract.inputs import story_row
from contract.manifest import Limits
from contract.preprocessing import StoryPreprocessing
from contract.rows import Array, Row
from models.answerer import Answerer
from models.architecture import Architecture
from models.data.stories import Question, questions
from models.registry import ConfigError
from models.tasks.answer.config import AnswerConfig
from models.tasks.answer.data import StoryBatches, StoryEncoder, read_split
from models.tasks.answer.module import AnswerModule
from models.tasks.answer.scores import answer_scores, task_accuracies
from models.tasks.answer.vocabulary import ANSWERS, WORDS, StoryVocabulary
from models.training.config import Split
from models.training.run import Run
from models.training.task import OneShotTask

AnswerRun = Run[AnswerConfig, StoryVocabulary]


class AnswerTask(OneShotTask[AnswerConfig, StoryVocabulary]):
    """Answers to questions about stories with any answerer."""

    config = AnswerConfig
    scores = ("accuracy",)
    titles: ClassVar[Mapping[str, str]] = {"accuracy": "accuracy, mean over tasks", "solved": "share of tasks solved"}
    files = (WORDS, ANSWERS)

    def learn(self, config: AnswerConfig, root: Path) -> StoryVocabulary:
        return StoryVocabulary.learn(read_split(config.data, root, "train"))

    def load(self, folder: Path) -> StoryVocabulary:
        return StoryVocabulary.load(folder)

    def sizes(self, config: AnswerConfig, vocabulary: StoryVocabulary) -> dict[str, Any]:
        return {
            "vocabulary_size": vocabulary.words.vocabulary_size,
            "answer_count": len(vocabulary.answers),
            "max_sentences": config.data.max_sentences,
            "max_words": config.data.max_words,
        }

    def data(self, config: AnswerConfig, vocabulary: StoryVocabulary, root: Path) -> StoryBatches:
        encoder = StoryEncoder(vocabulary, config.data)
        train, validation = (encoder.rows(read_split(config.data, root, split)) for split in ("train", "validation"))
        return StoryBatches(train, validation, config.training, config.seed)

    def module(
        self, model: Architecture, config: AnswerConfig, vocabulary: StoryVocabulary, total_steps: int
    ) -> AnswerModule:
        if not isinstance(model, Answerer):
            raise ConfigError(f"architecture {config.architecture_name!r} reads no stories with questions")
        return AnswerModule(model, config.training, seed=config.seed, total_steps=total_steps)

    def examples(self, run: AnswerRun, split: Split) -> list[Question]:
        return questions(read_split(run.config.data, run.root, split))

    def inputs(self, run: AnswerRun, example: Question) -> Row:
        return StoryEncoder(run.vocabulary, run.config.data).inputs(example)

    def random_inputs(self, run: AnswerRun, sizes: Mapping[str, int], generator: np.random.Generator) -> Row:
        """Sentences of as many words each, so that the shape is the one that is asked for."""
        size = self.vocabulary_size(run)
        sentences = generator.integers(1, size, (sizes["sentences"], sizes["words"]))
        return story_row(sentences.tolist(), generator.integers(1, size, sizes["source"]).tolist())

    def metrics(
        self, run: AnswerRun, outputs: Sequence[Mapping[str, Array]], examples: Sequence[Question]
    ) -> dict[str, float]:
        """Accuracy, the mean over tasks, and the share of tasks of which at least 95 % is right."""
        return answer_scores(self._accuracies(run, outputs, examples))

    def details(
        self, run: AnswerRun, outputs: Sequence[Mapping[str, Array]], examples: Sequence[Question]
    ) -> dict[str, float]:
        """The error of every task, as the literature reports it."""
        accuracies = self._accuracies(run, outputs, examples)
        return {f"error of {task}": 100 - accuracy for task, accuracy in accuracies.items()}

    def preprocessing(self, run: AnswerRun, folder: Path) -> StoryPreprocessing:
        run.vocabulary.words.save(folder / WORDS)
        return StoryPreprocessing(tokenizer=WORDS, answers=run.vocabulary.answers)

    def limits(self, run: AnswerRun) -> Limits:
        data = run.config.data
        return Limits(sentences=data.max_sentences, words=data.max_words, source=data.max_words)

    def vocabulary_size(self, run: AnswerRun) -> int:
        return run.vocabulary.words.vocabulary_size

    @staticmethod
    def _accuracies(
        run: AnswerRun, outputs: Sequence[Mapping[str, Array]], examples: Sequence[Question]
    ) -> dict[str, float]:
        """Of every task, in points; an answer that training does not have is a miss."""
        return task_accuracies(
            (example.task, run.vocabulary.place(example.answer) == int(output["scores"].argmax()))
            for output, example in zip(outputs, examples, strict=True)
        )
