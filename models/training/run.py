"""The run folder: what training writes and export reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
import yaml
from safetensors.torch import load_file, save_file

from models.architecture import Architecture
from models.registry import ConfigError, build, parse
from models.training.config import TrainConfig, data_root
from models.training.task import C, TrainingTask, V, Vocabulary, find_task, load_config

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
METRICS, CURVE, RESULT, CHECKPOINTS = "metrics.csv", "curve.png", "result.json", "checkpoints"


@dataclass(frozen=True)
class Run(Generic[C, V]):
    """A trained model, its vocabulary and its config."""

    path: Path
    config: C
    model: Architecture
    vocabulary: V
    data: Path | None = None

    @property
    def root(self) -> Path:
        """The data folder: the one given to `load_run`, else the one SEQSERVE_DATA names."""
        return data_root(self.data)

    @property
    def task(self) -> TrainingTask[C, V]:
        """What the run was trained for."""
        return find_task(self.config.task)


def load_run(path: Path, data: Path | None = None) -> Run[Any, Any]:
    """Open a run folder; the model is in evaluation mode.

    Raises:
        ConfigError: a file of the folder is missing or does not fit the config.
    """
    _require(path, CONFIG)
    config = load_config(path / CONFIG)
    task = find_task(config.task)
    _require(path, *task.files, WEIGHTS)
    vocabulary = task.load(path)
    model = new_model(task, config, vocabulary)
    try:
        model.load_state_dict(load_file(path / WEIGHTS))
    except RuntimeError as error:
        raise ConfigError(f"{path / WEIGHTS} does not fit {path / CONFIG}: {error}") from error
    return Run(path, config, model.eval(), vocabulary, data)


def _require(path: Path, *names: str) -> None:
    if missing := [name for name in names if not (path / name).is_file()]:
        raise ConfigError(f"{path} is not a finished run: {', '.join(missing)} missing; train it first")


def new_model(task: TrainingTask[Any, Any], config: TrainConfig, vocabulary: Vocabulary) -> Architecture:
    """A freshly initialised model with the config's sizes and seed."""
    fields = {key: value for key, value in config.architecture.items() if key != "name"}
    parsed = parse(config.architecture_name, fields | task.sizes(config, vocabulary))
    torch.manual_seed(config.seed)
    return build(config.architecture_name, parsed)


def prepare(path: Path, config: TrainConfig, vocabulary: Vocabulary) -> None:
    """Write what is known before training: the vocabulary, then the config, whose presence says that both are there."""
    path.mkdir(parents=True, exist_ok=True)
    vocabulary.save(path)
    (path / CONFIG).write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), "utf-8")


def write_weights(path: Path, checkpoint: Path) -> None:
    """Extract the model's (averaged) weights of a Lightning checkpoint into the run folder."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "model."
    names = [name for name in state if name.startswith(prefix)]
    save_file({name.removeprefix(prefix): state[name].contiguous() for name in names}, path / WEIGHTS)
