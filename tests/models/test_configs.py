"""Every shipped config is run, in miniature: its own architecture and switches, small sizes, a hundred captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.tasks import check_task
from models.architecture import Generator
from models.tasks.translate.evaluate import translate
from models.training.config import Hardware, TrainConfig
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.task import load_config
from models.training.trainer import train

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "parallel"
CONFIGS = sorted((ROOT / "models" / "configs").glob("*.yaml"))
LARGEST = 16


def miniature(config: TrainConfig) -> TrainConfig:
    """The config with sizes of at most 16, the test data and two batches an epoch."""
    fields = config.model_dump()
    sizes = {
        name: min(value, LARGEST)
        for name, value in fields["architecture"].items()
        if name.endswith("_size") and isinstance(value, int)
    }
    fields["architecture"] |= sizes
    for split, file in {"train": "train", "validation": "val", "test": "test"}.items():
        fields["data"][split] = {"source": f"{file}.en", "target": f"{file}.de"}
    fields["tokenizer"]["vocabulary_size"] = 150
    fields["training"] |= {"epochs": 1, "batch_tokens": 1_400, "warmup_steps": 1}
    return TrainConfig.model_validate(fields)


def test_there_are_configs() -> None:
    assert {"translation-en-de", "translation-en-de-gru"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_trains_two_steps(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    hardware = Hardware(accelerator="cpu", precision="bf16-mixed")
    run = train(miniature(config), DATA, tmp_path, hardware=hardware, progress=False)
    (row,) = read_metrics(run)
    assert row["step"] == 2
    assert json.loads((run / "result.json").read_text())["architecture"] == config.architecture["name"]
    loaded = load_run(run, DATA)
    assert isinstance(loaded.model, Generator)
    assert check_task(config.task, loaded.model.signature) == []
    assert len(translate(loaded, ["A small dog runs.", "The cat."])) == 2
