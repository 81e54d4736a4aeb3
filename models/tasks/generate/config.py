"""The YAML of a run that learns to write."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from contract.preprocessing import Notation
from contract.signature import Frozen
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class Tunes(Frozen):
    """A file of tunes in ABC notation, an empty line between them: each is one example, with an end."""

    tunes: str

    @property
    def file(self) -> str:
        """Its name."""
        return self.tunes


class RunningText(Frozen):
    """A long text, cut into windows without an end; `part` is the share of it that is read, from where to where."""

    text: str
    part: tuple[float, float] = (0.0, 1.0)

    @property
    def file(self) -> str:
        """Its name."""
        return self.text

    @model_validator(mode="after")
    def _something_is_read(self) -> Self:
        if not 0 <= self.part[0] < self.part[1] <= 1:
            raise ValueError(f"part {list(self.part)} must rise within 0 and 1")
        return self


class WrittenData(DataConfig):
    """Files of each split, relative to the data folder. Without `validation` a fixed 10 % of the tunes is carved.

    `max_length` bounds the tokens of a tune, its end included (longer ones are left out of training), or is the size of
    a window. With `shuffle_fields` a tune's metre, unit length and key come in another order every epoch, so that the
    model goes on from a prompt with any of them.
    """

    train: Tunes | RunningText
    validation: Tunes | RunningText | None = None
    test: Tunes | RunningText | None = None
    max_length: int = Field(default=256, ge=2)
    shuffle_fields: bool = True

    @property
    def notation(self) -> Notation:
        """What is written."""
        return "abc" if isinstance(self.train, Tunes) else "text"

    @property
    def training_files(self) -> tuple[str, ...]:
        return (self.train.file,)

    @model_validator(mode="after")
    def _one_notation(self) -> Self:
        others = [part for part in (self.validation, self.test) if part is not None]
        if any(type(part) is not type(self.train) for part in others):
            raise ValueError("train, validation and test must all be tunes, or all text")
        if self.validation is None and isinstance(self.train, RunningText):
            raise ValueError("validation of running text is named: {text: …, part: [0.9, 1]}")
        return self


class GenerateConfig(TrainConfig):
    """One run that learns to write."""

    task: Literal["generate"] = "generate"
    data: WrittenData
    training: TrainingConfig = TrainingConfig()
