"""The YAML of a training run: what every task has in common. Tasks add their own sections."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from contract.signature import Frozen
from models.registry import ConfigError

DATA_VARIABLE = "SEQSERVE_DATA"

Split = Literal["train", "validation", "test"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class NoSplitError(ConfigError):
    """A config names no files for the split that is asked for."""


class DataConfig(Frozen):
    """Where the data come from; tasks add the files of each split, relative to the data folder."""

    licence: str = "not stated"
    origin: str = Field(default="", description="where the public original is, for the model card")

    @property
    def training_files(self) -> tuple[str, ...]:
        """Names of the files that are trained on, as the config gives them."""
        raise NotImplementedError


class TrainingConfig(Frozen):
    """How long and how fast to learn."""

    epochs: int = Field(default=20, ge=1)
    batch_tokens: int = Field(default=4096, ge=2, description="tokens of all inputs, padding counted")
    learning_rate: float = Field(default=1e-3, gt=0, description="peak, reached after the warm-up")
    warmup_steps: int = Field(default=500, ge=1, description="no more than a tenth of all steps")
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["inverse_sqrt", "linear", "halving"] = "linear"
    weight_decay: float = Field(default=0.01, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.999, ge=0, lt=1, description="of the moving average of the weights; 0: off")
    patience: int = Field(default=10, ge=1, description="epochs without a better validation score before stopping")


class TrainConfig(Frozen):
    """One training run; `architecture` holds the name and the fields of a registered architecture."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    task: str
    description: str = ""
    seed: int = 1
    architecture: dict[str, Any]
    data: DataConfig
    training: TrainingConfig = TrainingConfig()

    @property
    def architecture_name(self) -> str:
        """Registered name of the architecture."""
        return str(self.architecture.get("name", ""))

    def changed(self, other: TrainConfig) -> list[str]:
        """Sections that differ in what a run cannot change while it goes on: all but its name and its schedule."""
        free = {"name", "description", "training"}
        return [name for name in type(self).model_fields if name not in free and self._of(name) != other._of(name)]

    def _of(self, section: str) -> Any:
        return getattr(self, section, None)


@dataclass(frozen=True)
class Hardware:
    """Where a run computes, in Lightning's own names and values."""

    accelerator: str = "auto"
    devices: str = "1"
    strategy: str = "auto"
    precision: Precision = "32-true"


def data_root(given: Path | None) -> Path:
    """The data folder: the given one, else the one named by SEQSERVE_DATA."""
    root = given or Path(os.environ[DATA_VARIABLE]) if given or DATA_VARIABLE in os.environ else None
    if root is None:
        raise ConfigError(f"where is the data? pass --data DIR or set {DATA_VARIABLE}")
    if not root.is_dir():
        raise ConfigError(f"the data folder {root} does not exist")
    return root
