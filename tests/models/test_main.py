from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from models.__main__ import app, main
from models.registry import entries
from models.training.config import DATA_VARIABLE
from models.training.report import read_metrics

DATA = Path(__file__).parents[1] / "data" / "parallel"
FIELDS = {
    "name": "tiny",
    "task": "translate",
    "architecture": {"name": "transformer", "hidden_size": 8, "num_heads": 2, "feed_forward_size": 8},
    "data": {split: {"source": f"{split}.en", "target": f"{split}.de"} for split in ("train", "test")},
    "tokenizer": {"vocabulary_size": 120},
    "training": {"epochs": 3, "batch_tokens": 1_200},
}


def command(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int | str | None:
    """What the command exits with."""
    monkeypatch.setattr("sys.argv", ["models", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(FIELDS))
    return path


def test_train_then_evaluate(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(DATA))
    output = tmp_path / "runs"
    settings = ("--accelerator", "cpu", "--no-progress", "--set", "training.epochs=1")
    assert command(monkeypatch, "train", config, "--output", output, *settings) == 0
    assert "run folder:" in capsys.readouterr().out
    assert [row["epoch"] for row in read_metrics(output / "tiny")] == [0]
    assert command(monkeypatch, "evaluate", output / "tiny", "--split", "test") == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["run"], printed["split"], printed["sentences"]) == ("tiny", "test", 16)
    assert printed["bleu"] <= printed["bleu_lower_cased"]


def test_fresh_forgets_the_run_before(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ("--data", DATA, "--output", tmp_path, "--accelerator", "cpu", "--no-progress")
    assert command(monkeypatch, "train", config, *settings, "--set", "training.epochs=2") == 0
    assert command(monkeypatch, "train", config, *settings, "--set", "training.epochs=1", "--fresh") == 0
    assert [row["epoch"] for row in read_metrics(tmp_path / "tiny")] == [0]


def test_list_shows_every_architecture_with_task_paper_and_configs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("models.__main__.console", Console(width=400, highlight=False))
    assert command(monkeypatch, "list") == 0
    header, *lines = [re.split(r"\s{2,}", line.rstrip()) for line in capsys.readouterr().out.splitlines()]
    assert header == ["architecture", "task", "paper", "configs"]
    rows = [line for line in lines if line[0]]
    assert [row[0] for row in rows] == list(entries())
    assert [row for row in rows if len(row) != 4] == []
    told = {row[0]: row[1:] for row in rows}
    assert told["narm"] == ["recommend", "Li et al. 2017", "next-item"]
    at = next(number for number, line in enumerate(lines) if line[0] == "recurrent_seq2seq")
    assert lines[at][3:] + lines[at + 1] == ["comparison", "", "attention-scores"]


def test_list_cuts_no_name_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("models.__main__.console", Console(width=80, highlight=False))
    assert command(monkeypatch, "list") == 0
    told = set(capsys.readouterr().out.split())
    configs = {path.stem for path in (Path(__file__).parents[2] / "models/configs").glob("*.yaml")}
    assert configs | set(entries()) <= told


def test_list_tells_the_fields_of_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "list", "transformer") == 0
    printed = capsys.readouterr().out.splitlines()
    entry = entries()["transformer"]
    assert printed[0].startswith("transformer: ")
    assert [line.strip().partition(":")[0] for line in printed[1:]] == list(entry.config.model_fields)
    assert "  decoder_layers: 2" in printed
    assert command(monkeypatch, "list", "transfromer").startswith("error: unknown architecture 'transfromer'; known: ")


def test_a_fault_of_the_user_is_one_line(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    assert command(monkeypatch, "train", config) == "error: where is the data? pass --data DIR or set SEQSERVE_DATA"
    fault = command(monkeypatch, "train", config, "--data", tmp_path)
    assert fault == f"error: {tmp_path / 'train.en'}: cannot be read ([Errno 2] No such file or directory: " + (
        f"'{tmp_path / 'train.en'}')"
    )


def test_an_unknown_split_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(monkeypatch, "evaluate", tmp_path, "--split", "tset") == 2


def test_the_app_has_its_commands() -> None:
    assert {info.name or info.callback.__name__ for info in app.registered_commands if info.callback} == {
        "train",
        "evaluate",
        "list",
    }
