"""The YAML of a translation run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.data.parallel import Files, LineAligned
from models.data.tokenizer import TokenizerConfig
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class ParallelData(DataConfig):
    """Files of each split, relative to the data folder. Without `validation` a fixed 10 % of `train` is carved.

    `max_length` bounds the tokens of either side, BOS or EOS included: longer pairs are left out of training.
    """

    train: Files
    validation: Files | None = None
    test: Files | None = None
    max_length: int = Field(default=128, ge=2)

    @property
    def training_files(self) -> tuple[str, ...]:
        train = self.train
        return (train.source, train.target) if isinstance(train, LineAligned) else (train.table,)


class TranslateTraining(TrainingConfig):
    """How long and how fast to learn to translate."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)


class TranslateConfig(TrainConfig):
    """One translation run."""

    task: Literal["translate"] = "translate"
    data: ParallelData
    tokenizer: TokenizerConfig = TokenizerConfig()
    training: TranslateTraining = TranslateTraining()
