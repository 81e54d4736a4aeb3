from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.results.record import fingerprint, load_records, place, save_record
from models.registry import ConfigError
from models.training.config import Hardware, TrainConfig
from models.training.task import parse_config
from tests.export.results.records import make_record

FIELDS = {
    "name": "tiny",
    "task": "translate",
    "architecture": {"name": "transformer", "hidden_size": 8},
    "data": {"train": {"source": "train.en", "target": "train.de"}},
}


def config(**sections: object) -> TrainConfig:
    return parse_config(FIELDS | sections, "tiny")


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    plain = make_record("config", test={}, exported=())
    whole = make_record("comparison/variant-seed1", not_exported="int8: because")
    assert save_record(plain, tmp_path) == tmp_path / "config.json"
    assert save_record(whole, tmp_path) == tmp_path / "comparison" / "variant-seed1.json"
    assert load_records(tmp_path) == {plain.run: plain, whole.run: whole}


def test_the_scores_to_report_are_those_of_the_test_split_where_there_is_one() -> None:
    assert make_record().scores == {"bleu": 31.5}
    assert make_record(test={}).scores == {"bleu": 30.0}


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"run": "x"}')
    with pytest.raises(ConfigError, match=r"x\.json is not a record: (.|\n)*parameters"):
        load_records(tmp_path)


def test_a_record_in_another_place_is_named(tmp_path: Path) -> None:
    save_record(make_record("one"), tmp_path).rename(tmp_path / "two.json")
    with pytest.raises(ConfigError, match=r"two\.json is the record of 'one', which belongs in .*one\.json"):
        load_records(tmp_path)
    assert place("one", tmp_path) == tmp_path / "one.json"


def test_what_does_not_change_a_run_does_not_change_its_fingerprint() -> None:
    told = config(name="other", description="text", data=FIELDS["data"] | {"licence": "mine", "origin": "here"})
    assert fingerprint(told) == fingerprint(config())
    assert fingerprint(config(seed=1, training={"weight_decay": 0.01})) == fingerprint(config())


@given(st.sampled_from([{"seed": 2}, {"training": {"epochs": 3}}, {"architecture": {"name": "transformer"}}]))
def test_what_changes_a_run_changes_its_fingerprint(sections: dict[str, object]) -> None:
    assert fingerprint(config(**sections)) != fingerprint(config())


def test_hardware_is_kept(tmp_path: Path) -> None:
    record = make_record()
    known = record.model_copy(
        update={"training": record.training.model_copy(update={"hardware": Hardware(precision="bf16-mixed")})}
    )
    save_record(known, tmp_path)
    hardware = load_records(tmp_path)["model"].training.hardware
    assert hardware == Hardware(precision="bf16-mixed")
