"""The YAML of a run that learns to answer questions about stories."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.data.stories import StoryFiles
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class AnswerData(DataConfig):
    """Files of each split. Without `validation` a fixed 10 % of the stories of `train` is carved.

    Of a longer story the last `max_sentences` are read, of a longer sentence or question the first `max_words`; what
    serves the model refuses the latter.
    """

    train: StoryFiles
    validation: StoryFiles | None = None
    test: StoryFiles | None = None
    max_sentences: int = Field(default=50, ge=1)
    max_words: int = Field(default=20, ge=1)

    @property
    def training_files(self) -> tuple[str, ...]:
        return (self.train.archive or self.train.files,)


class AnswerTraining(TrainingConfig):
    """How long and how fast to learn.

    For the first `linear_epochs` attention is without its softmax (Sukhbaatar et al. 2015, section 4.2, "linear start
    training").
    """

    batch_rows: int = Field(default=32, ge=1, description="questions of a batch, of stories of any length")
    linear_epochs: int = Field(default=20, ge=0)


class AnswerConfig(TrainConfig):
    """One run."""

    task: Literal["answer"] = "answer"
    data: AnswerData
    training: AnswerTraining = AnswerTraining()
