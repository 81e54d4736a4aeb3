"""Every shipped config is run, in miniature: its own architecture and switches, small sizes, a hundred examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.tasks import TASKS, check_task
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.task import find_task, load_config
from models.training.trainer import train
from tests.models.miniatures import DATA, miniature

CONFIGS = sorted((Path(__file__).parents[2] / "models" / "configs").glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {"entities", "translation-en-de", "translation-en-de-gru"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_trains_and_is_evaluated(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    small = miniature(config)
    run = train(small, DATA, tmp_path, hardware=Hardware(accelerator="cpu", precision="bf16-mixed"), progress=False)
    (row,) = read_metrics(run)
    assert 1 <= row["step"] < 40
    assert json.loads((run / "result.json").read_text())["architecture"] == config.architecture["name"]
    loaded = load_run(run, DATA)
    if config.task in TASKS:
        assert check_task(config.task, loaded.model.signature) == []
    scores = find_task(config.task).evaluate(loaded, "test")
    assert (scores["run"], scores["split"]) == (config.name, "test")
