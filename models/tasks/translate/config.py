"""The YAML of a translation run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.data.parallel import Corpora
from models.data.tokenizer import TokenizerConfig
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class ParallelData(DataConfig):
    """Corpora of each split, one or a list, relative to the data folder.

    Without `validation` a fixed 10 % of `train` is carved. `max_length` bounds the tokens of either side, BOS or EOS
    included: longer pairs are left out of training.
    """

    train: Corpora
    validation: Corpora | None = None
    test: Corpora | None = None
    max_length: int = Field(default=128, ge=2)
    source_language: str | None = Field(default=None, description="ISO 639; else as aligned files are named: train.en")
    target_language: str | None = None
    unseen: bool = Field(
        default=False, description="train on no pair of which either side also stands in validation or test"
    )

    @property
    def training_files(self) -> tuple[str, ...]:
        return tuple(path for files in self.train for path in files.paths)


class TranslateTraining(TrainingConfig):
    """How long and how fast to learn to translate."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)


class TranslateConfig(TrainConfig):
    """One translation run."""

    task: Literal["translate"] = "translate"
    data: ParallelData
    tokenizer: TokenizerConfig = TokenizerConfig()
    training: TranslateTraining = TranslateTraining()
