"""The YAML of a tagging run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.data.tagged import Columns, Files
from models.data.words import WordsConfig
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class TaggedData(DataConfig):
    """Files of each split, relative to the data folder. Without `validation` a fixed 10 % of `train` is carved.

    `max_length` bounds the words of a text: what lies beyond is left out of training, and refused by a service.
    """

    train: Files
    validation: Files | None = None
    test: Files | None = None
    max_length: int = Field(default=256, ge=2)
    language: str | None = Field(default=None, description="of the texts, by whose rules sentences end")

    @property
    def training_files(self) -> tuple[str, ...]:
        return (self.train.columns if isinstance(self.train, Columns) else self.train.jsonl,)


class TagTraining(TrainingConfig):
    """How long and how fast to learn to tag."""

    rare_dropout: float = Field(
        default=0.5, ge=0, description="a word that training holds n times is unknown by chance x / (x + n)"
    )


class TagConfig(TrainConfig):
    """One tagging run."""

    task: Literal["tag"] = "tag"
    data: TaggedData
    words: WordsConfig = WordsConfig()
    training: TagTraining = TagTraining()
