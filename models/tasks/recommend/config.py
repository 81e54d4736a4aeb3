"""The YAML of a recommendation run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from models.data.sessions import CaseList, EventTable, SessionList
from models.training.config import DataConfig, TrainConfig, TrainingConfig
from models.training.ranking_loss import RankingLoss


class RecommendData(DataConfig):
    """Sessions to train on and to test with, relative to the data folder.

    A table of events is split by time into both. The latest `validation_share` of the training sessions validates: a
    tenth while choices are made, and less for a final run, since what visitors want today is best learnt from what they
    wanted yesterday. The catalogue is every item of the training file, those of the validation sessions included.
    """

    train: SessionList | EventTable
    test: SessionList | CaseList | None = None
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    max_length: int = Field(default=50, ge=1, description="items of a session that are read, the latest ones")

    @model_validator(mode="after")
    def _one_test_set(self) -> Self:
        if isinstance(self.train, EventTable) and self.test is not None:
            raise ValueError("data.train is a table of events, which data.train.test_days or test_fraction splits")
        return self

    @property
    def training_files(self) -> tuple[str, ...]:
        return (self.train.sessions if isinstance(self.train, SessionList) else self.train.table,)


class RecommendTraining(TrainingConfig):
    """How long, how fast and against what to learn.

    With `negatives`, an item is told from so many others, drawn anew for each batch, and from the batch's own targets;
    with 0 from the whole catalogue.
    """

    loss: Literal["cross_entropy"] | RankingLoss = "cross_entropy"
    negatives: int = Field(default=0, ge=0)
    regularisation: float = Field(default=1.0, ge=0, description="of the scores of negatives, for bpr_max")
    validation_sessions: int = Field(default=6_000, ge=1, description="most sessions to judge an epoch by")

    @model_validator(mode="after")
    def _ranking_samples(self) -> Self:
        if self.loss != "cross_entropy" and not self.negatives:
            raise ValueError(f"training.loss {self.loss} compares with sampled items: set training.negatives")
        return self


class RecommendConfig(TrainConfig):
    """One recommendation run."""

    task: Literal["recommend"] = "recommend"
    data: RecommendData
    training: RecommendTraining = RecommendTraining()
