from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from models.data.parallel import LineAligned, Table
from models.registry import ConfigError
from models.training.config import DATA_VARIABLE, TrainConfig, data_root
from models.training.task import load_config, parse_config

FIELDS = {
    "name": "tiny",
    "task": "translate",
    "architecture": {"name": "transformer", "hidden_size": 16},
    "data": {"train": {"source": "a.en", "target": "a.de"}, "test": {"table": "t.tsv", "source": "en", "target": 1}},
}


def written(folder: Path, text: str | None = None) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(FIELDS) if text is None else text)
    return path


def test_files_of_a_split_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    data = load_config(written(tmp_path)).data
    assert data.train == (LineAligned(source="a.en", target="a.de"),)
    assert data.test == (Table(table="t.tsv", source="en", target=1),)
    assert data.validation is None


@pytest.mark.parametrize("task", [None, "translat", 3])
def test_an_unknown_task_is_answered_with_the_known_ones(task: object) -> None:
    with pytest.raises(ConfigError, match=rf"here: task: {task!r} is not one of .*translate"):
        parse_config(FIELDS | {"task": task}, "here")


def test_a_config_survives_being_written() -> None:
    config = parse_config(FIELDS, "here")
    assert parse_config(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json"))), "there") == config


def test_every_fault_is_in_one_message() -> None:
    faulty = FIELDS | {"name": "No Spaces", "sed": 1, "training": {"epochs": 0, "schedule": "cosine"}}
    with pytest.raises(ConfigError) as error:
        parse_config(faulty, "a.yaml")
    for part in ("a.yaml:", "name:", "sed: Extra inputs", "training.epochs:", "training.schedule:"):
        assert part in str(error.value)


def test_overrides_are_read_as_yaml(tmp_path: Path) -> None:
    overrides = ["training.epochs=3", "architecture.dropout=0.5", "tokenizer.joint=false", "seed=7"]
    config = load_config(written(tmp_path), overrides)
    assert (config.training.epochs, config.tokenizer.joint, config.seed) == (3, False, 7)
    assert config.architecture == {"name": "transformer", "hidden_size": 16, "dropout": 0.5}


@pytest.mark.parametrize("override", ["training.epochs", "name.x=3"])
def test_an_override_must_name_a_key_and_a_value(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError, match=r"must read section\.key=value"):
        load_config(written(tmp_path), [override])


@pytest.mark.parametrize("text", ["a: [", "\x00"])
def test_what_is_not_yaml_is_said_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_config(written(tmp_path, text))


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_an_empty_file_lists_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml: config: Input should be"):
        load_config(written(tmp_path, ""))


def test_the_data_folder_is_the_given_one_or_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="pass --data DIR or set SEQSERVE_DATA"):
        data_root(None)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert data_root(None) == tmp_path
    other = tmp_path / "other"
    other.mkdir()
    assert data_root(other) == other
    with pytest.raises(ConfigError, match="nowhere does not exist"):
        data_root(tmp_path / "nowhere")


def test_a_config_cannot_be_changed() -> None:
    config = parse_config(FIELDS, "here")
    assert isinstance(config, TrainConfig)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]
