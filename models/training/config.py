"""The YAML of a training run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from contract.signature import Frozen
from contract.tasks import TaskName
from models.data.parallel import Files
from models.data.tokenizer import TokenizerConfig
from models.registry import ConfigError

DATA_VARIABLE = "SEQSERVE_DATA"

Split = Literal["train", "validation", "test"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class DataConfig(Frozen):
    """Files of each split, relative to the data folder. Without `validation` a fixed 10 % of `train` is carved.

    `max_length` bounds the tokens of either side, BOS or EOS included: longer pairs are left out of training.
    """

    train: Files
    validation: Files | None = None
    test: Files | None = None
    max_length: int = Field(default=128, ge=2)
    licence: str = "not stated"


class TrainingConfig(Frozen):
    """How long and how fast to learn."""

    epochs: int = Field(default=20, ge=1)
    batch_tokens: int = Field(default=4096, ge=2, description="tokens of both sides, padding counted")
    learning_rate: float = Field(default=1e-3, gt=0, description="peak, reached after the warm-up")
    warmup_steps: int = Field(default=500, ge=1)
    schedule: Literal["inverse_sqrt", "linear"] = "linear"
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.999, ge=0, lt=1, description="of the moving average of the weights; 0: off")
    patience: int = Field(default=10, ge=1, description="epochs without a better validation BLEU before stopping")


class TrainConfig(Frozen):
    """One training run; `architecture` holds the name and the fields of a registered architecture."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    task: TaskName
    description: str = ""
    seed: int = 1
    architecture: dict[str, Any]
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def architecture_name(self) -> str:
        """Registered name of the architecture."""
        return str(self.architecture.get("name", ""))

    def architecture_fields(self, source_vocabulary_size: int, target_vocabulary_size: int) -> dict[str, Any]:
        """Fields of the architecture's config; the vocabulary sizes come from the tokenizers."""
        fields = {key: value for key, value in self.architecture.items() if key != "name"}
        sizes = {"source_vocabulary_size": source_vocabulary_size, "target_vocabulary_size": target_vocabulary_size}
        return fields | sizes


@dataclass(frozen=True)
class Hardware:
    """Where a run computes, in Lightning's own names and values."""

    accelerator: str = "auto"
    devices: str = "1"
    strategy: str = "auto"
    precision: Precision = "32-true"


def parse_config(fields: Any, place: str) -> TrainConfig:
    """A validated config.

    Raises:
        ConfigError: every fault in one message that begins with `place`.
    """
    try:
        return TrainConfig.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{place}: {faults}") from error


def load_config(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """The config of a YAML file, with `section.key=value` overrides (values are YAML)."""
    try:
        fields = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({error})") from error
    for override in overrides or []:
        _override(fields, override)
    return parse_config(fields, str(path))


def data_root(given: Path | None) -> Path:
    """The data folder: the given one, else the one named by SEQSERVE_DATA."""
    root = given or Path(os.environ[DATA_VARIABLE]) if given or DATA_VARIABLE in os.environ else None
    if root is None:
        raise ConfigError(f"where is the data? pass --data DIR or set {DATA_VARIABLE}")
    if not root.is_dir():
        raise ConfigError(f"the data folder {root} does not exist")
    return root


def _override(fields: Any, override: str) -> None:
    path, separator, value = override.partition("=")
    *sections, key = path.split(".")
    for section in sections:
        fields = fields.setdefault(section, {}) if isinstance(fields, dict) else None
    if not separator or not isinstance(fields, dict):
        raise ConfigError(f"override {override!r} must read section.key=value")
    fields[key] = yaml.safe_load(value)
