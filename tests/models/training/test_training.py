from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from models.registry import ConfigError
from models.tasks.translate import TASK
from models.tasks.translate.data import read_split
from models.tasks.translate.evaluate import translate
from models.tasks.translate.module import TranslateModule
from models.training.config import Hardware, TrainConfig
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.task import parse_config
from models.training.trainer import discard, train

CPU = Hardware(accelerator="cpu")


def run(config: TrainConfig, data: Path, output: Path) -> Path:
    return train(config, data, output, hardware=CPU, progress=False)


def changed(config: TrainConfig, **sections: dict[str, Any]) -> TrainConfig:
    fields = config.model_dump()
    for section, values in sections.items():
        fields[section] |= values
    return parse_config(fields, "changed")


class KilledError(RuntimeError):
    """Stands for a process that ends in the middle of an epoch."""


@pytest.fixture
def kill_in_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    step = TranslateModule.training_step

    def dying(module: TranslateModule, batch: Any, index: int) -> torch.Tensor:
        if module.current_epoch == 1 and index == 2:
            monkeypatch.undo()
            raise KilledError
        return step(module, batch, index)

    monkeypatch.setattr(TranslateModule, "training_step", dying)


def metrics(path: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in read_metrics(path)]


def test_a_run_of_an_architecture_that_has_changed_is_not_gone_on_with(
    config: TrainConfig, data: Path, tmp_path: Path
) -> None:
    """The same parameters in another order would be moved by each other's momenta."""
    last = run(changed(config, training={"epochs": 1}), data, tmp_path) / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["state_dict"] = dict(reversed(checkpoint["state_dict"].items()))
    torch.save(checkpoint, last)
    with pytest.raises(ConfigError, match="has changed since this run was stopped: train it afresh"):
        run(config, data, tmp_path)


def test_a_run_goes_on_from_epochs_reported_with_fewer_columns(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    path = run(changed(config, training={"epochs": 1}), data, tmp_path)
    metrics_file = path / "metrics.csv"
    lines = [line.rpartition(",")[0] for line in metrics_file.read_text().splitlines()]
    metrics_file.write_text("\n".join(lines) + "\n")
    first, second = read_metrics(run(config, data, tmp_path))
    assert math.isnan(first["processor_seconds"])
    assert second["processor_seconds"] > 0


def test_a_run_leaves_everything_that_export_and_people_need(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    path = run(config, data, tmp_path)
    assert path == tmp_path / "tiny"
    assert yaml.safe_load((path / "config.yaml").read_text()) == config.model_dump(mode="json")
    assert (path / "curve.png").read_bytes().startswith(b"\x89PNG")
    rows = read_metrics(path)
    columns = "epoch", "step", "learning_rate", "train_loss", "validation_loss", "validation_bleu"
    assert [tuple(row) for row in rows] == [(*columns, "seconds", "processor_seconds")] * 2
    assert [row["epoch"] for row in rows] == [0, 1]
    assert [row["step"] for row in rows] == [4, 8]
    assert rows[1]["train_loss"] < rows[0]["train_loss"]
    assert rows[1]["learning_rate"] == 0
    result = json.loads((path / "result.json").read_text())
    assert (result["name"], result["architecture"], result["epochs"]) == ("tiny", "transformer", 2)
    assert result["validation_bleu"] == max(row["validation_bleu"] for row in rows)

    loaded = load_run(path, data)
    assert loaded.config == config
    assert not loaded.model.training
    assert result["parameters"] == sum(parameter.numel() for parameter in loaded.model.parameters())
    sizes = [len(read_split(loaded.config.data, loaded.root, split)) for split in ("train", "validation", "test")]
    assert sizes == [96, 16, 16]
    scores = loaded.task.evaluate(loaded, "validation")
    assert scores["sentences"] == 16
    assert scores["bleu_lower_cased"] == pytest.approx(result["validation_bleu"], abs=0.005)


def test_a_killed_run_goes_on_where_it_was(
    config: TrainConfig, data: Path, tmp_path: Path, kill_in_the_second_epoch: None
) -> None:
    broken = tmp_path / "broken"
    with pytest.raises(KilledError):
        run(config, data, broken)
    assert [row["epoch"] for row in metrics(broken / "tiny")] == [0]
    resumed, unbroken = run(config, data, broken), run(config, data, tmp_path / "unbroken")
    assert metrics(resumed) == metrics(unbroken)
    ours, theirs = (load_file(path / "model.safetensors") for path in (resumed, unbroken))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_finished_run_is_not_trained_again_and_a_longer_one_goes_on(
    config: TrainConfig, data: Path, tmp_path: Path
) -> None:
    path = run(config, data, tmp_path)
    before = read_metrics(path)
    run(config, data, tmp_path)
    assert read_metrics(path) == before
    run(changed(config, training={"epochs": 3}), data, tmp_path)
    assert read_metrics(path)[:2] == before
    assert [row["step"] for row in read_metrics(path)] == [4, 8, 12]


def test_it_learns(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    longer = changed(config, training={"epochs": 20, "batch_tokens": 100}, architecture={"dropout": 0.0})
    path = run(longer, data, tmp_path)
    assert json.loads((path / "result.json").read_text())["validation_bleu"] > 50
    assert translate(load_run(path), ["A red dog sleeps in the park."]) == ["Ein roter Hund schläft im Park."]


def test_training_stops_when_validation_no_longer_improves(
    config: TrainConfig, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "models.tasks.translate.module.greedy_decode", lambda model, inputs, **_: [[]] * len(inputs["source_ids"])
    )
    path = run(changed(config, training={"epochs": 9, "patience": 2}), data, tmp_path)
    assert [row["epoch"] for row in read_metrics(path)] == [0, 1, 2]


def test_validation_is_carved_where_none_is_named(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    carved = changed(config, data={"validation": None}, training={"epochs": 1})
    loaded = load_run(run(carved, data, tmp_path), data)
    train_pairs, validation = (read_split(loaded.config.data, data, split) for split in ("train", "validation"))
    assert len(train_pairs) + len(validation) == 96
    assert set(train_pairs).isdisjoint(validation)


def test_without_averaging_the_weights_are_those_of_the_best_epoch(
    config: TrainConfig, data: Path, tmp_path: Path
) -> None:
    path = run(changed(config, training={"average_decay": 0.0, "epochs": 1}), data, tmp_path)
    checkpoint = torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    weights = load_file(path / "model.safetensors")
    assert {f"model.{name}" for name in weights} == set(checkpoint)
    assert all(torch.equal(value, checkpoint[f"model.{name}"]) for name, value in weights.items())


def test_mixed_precision_trains_and_keeps_full_precision_weights(
    config: TrainConfig, data: Path, tmp_path: Path
) -> None:
    hardware = Hardware(accelerator="cpu", precision="bf16-mixed")
    path = train(changed(config, training={"epochs": 1}), data, tmp_path, hardware=hardware, progress=False)
    assert {value.dtype for value in load_file(path / "model.safetensors").values()} == {torch.float32}
    assert json.loads((path / "result.json").read_text())["hardware"]["precision"] == "bf16-mixed"


def test_two_processes_share_the_batches_of_an_epoch(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(changed(config, training={"epochs": 1}).model_dump(mode="json")))
    command = [sys.executable, "-m", "models", "train", str(file), "--data", str(data), "--output", str(tmp_path)]
    command += ["--accelerator", "cpu", "--devices", "2", "--strategy", "ddp", "--threads", "1", "--no-progress"]
    root, environment = Path(__file__).parents[3], os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = read_metrics(tmp_path / "tiny")
    assert row["step"] == 2
    weights = load_run(tmp_path / "tiny").model.state_dict()
    assert all(value.isfinite().all() for value in weights.values())


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"architecture": {"hidden_size": 32}}, "another architecture; use --fresh or another --output"),
        ({"tokenizer": {"joint": False}}, "another tokenizer"),
    ],
)
def test_a_run_does_not_go_on_with_another_model(
    config: TrainConfig, data: Path, tmp_path: Path, sections: dict[str, dict[str, Any]], message: str
) -> None:
    run(changed(config, training={"epochs": 1}), data, tmp_path)
    with pytest.raises(ConfigError, match=message):
        run(changed(config, **sections), data, tmp_path)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"max_length": 65}}, "architecture.max_length 64 is below data.max_length 65"),
        ({"data": {"max_length": 3}}, "no training pair fits into data.max_length 3"),
        ({"architecture": {"name": "transfomer"}}, "unknown architecture 'transfomer'; known: .*transformer"),
        ({"architecture": {"hiden_size": 3}}, "hiden_size: Extra inputs are not permitted"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    config: TrainConfig, data: Path, tmp_path: Path, sections: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(changed(config, **sections), data, tmp_path)


def test_a_split_that_the_config_does_not_name_is_refused(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    path = run(changed(config, data={"test": None}, training={"epochs": 1}), data, tmp_path)
    with pytest.raises(ConfigError, match=r"the config names no test files \(data\.test\)"):
        TASK.evaluate(load_run(path, data), "test")


def test_weights_that_do_not_fit_the_config_are_refused(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    path = run(changed(config, training={"epochs": 1}), data, tmp_path)
    other = changed(config, architecture={"encoder_layers": 2}).model_dump(mode="json")
    (path / "config.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(ConfigError, match=r"(?s)model\.safetensors does not fit .*config\.yaml.*encoder\.1"):
        load_run(path)


def test_a_folder_that_is_not_a_run_is_neither_opened_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(ConfigError, match=r"config\.yaml missing; train it first"):
        load_run(tmp_path)
    with pytest.raises(ConfigError, match="refusing to remove it"):
        discard(tmp_path)
    assert (tmp_path / "notes.txt").exists()
    discard(tmp_path / "never-there")
