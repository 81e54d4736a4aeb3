"""The run folder: what training writes and export reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from contract.text import TextCodec
from models.architecture import Architecture
from models.data.parallel import Pair
from models.registry import ConfigError, build, parse
from models.training.config import Split, TrainConfig, data_root, load_config
from models.training.data import read_split

CONFIG, SOURCE, TARGET, WEIGHTS = "config.yaml", "tokenizer.source.json", "tokenizer.target.json", "model.safetensors"
METRICS, CURVE, RESULT, CHECKPOINTS = "metrics.csv", "curve.png", "result.json", "checkpoints"


@dataclass(frozen=True)
class Run:
    """A trained model, its tokenizers and its config."""

    path: Path
    config: TrainConfig
    model: Architecture
    source: TextCodec
    target: TextCodec
    data: Path | None = None

    def examples(self, split: Split) -> list[Pair]:
        """Texts of a split, read from the data folder given to `load_run`, else the one SEQSERVE_DATA names."""
        return read_split(self.config.data, data_root(self.data), split)


def load_run(path: Path, data: Path | None = None) -> Run:
    """Open a run folder; the model is in evaluation mode.

    Raises:
        ConfigError: a file of the folder is missing or does not fit the config.
    """
    if missing := [name for name in (CONFIG, SOURCE, TARGET, WEIGHTS) if not (path / name).is_file()]:
        raise ConfigError(f"{path} is not a finished run: {', '.join(missing)} missing; train it first")
    config = load_config(path / CONFIG)
    source, target = TextCodec.load(path / SOURCE), TextCodec.load(path / TARGET)
    model = new_model(config, source, target)
    try:
        model.load_state_dict(load_file(path / WEIGHTS))
    except RuntimeError as error:
        raise ConfigError(f"{path / WEIGHTS} does not fit {path / CONFIG}: {error}") from error
    return Run(path, config, model.eval(), source, target, data)


def new_model(config: TrainConfig, source: TextCodec, target: TextCodec) -> Architecture:
    """A freshly initialised model with the config's sizes and seed."""
    name = config.architecture_name
    sizes = parse(name, config.architecture_fields(source.vocabulary_size, target.vocabulary_size))
    # Architectures that keep a table of positions say how many.
    if (positions := getattr(sizes, "max_length", config.data.max_length)) < config.data.max_length:
        raise ConfigError(f"architecture.max_length {positions} is below data.max_length {config.data.max_length}")
    torch.manual_seed(config.seed)
    return build(name, sizes)


def prepare(path: Path, config: TrainConfig, codecs: tuple[TextCodec, TextCodec]) -> None:
    """Write what is known before training: the tokenizers, then the config, whose presence says that both are there."""
    path.mkdir(parents=True, exist_ok=True)
    codecs[0].save(path / SOURCE)
    codecs[1].save(path / TARGET)
    (path / CONFIG).write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), "utf-8")


def write_weights(path: Path, checkpoint: Path) -> None:
    """Extract the model's (averaged) weights of a Lightning checkpoint into the run folder."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "model."
    names = [name for name in state if name.startswith(prefix)]
    save_file({name.removeprefix(prefix): state[name].contiguous() for name in names}, path / WEIGHTS)
