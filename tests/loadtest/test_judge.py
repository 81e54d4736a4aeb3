"""Replies are held against the set that a bundle's own training named, over HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from contract.manifest import load_manifest, save_manifest
from contract.versions import latest_version
from loadtest.bench.judge import _rank, judge
from loadtest.bench.table import Table
from loadtest.bench.tunes import ASKED

DATA = Path(__file__).resolve().parents[1] / "data"


def with_test_file(name: str, test: dict[str, Any], folder: Path) -> Path:
    """A copy of a tiny bundle whose training config names a test file."""
    shutil.copytree(DATA / "bundles" / "v1" / name, folder / name)
    version = latest_version(folder / name)
    manifest = load_manifest(version)
    data = manifest.training["data"]
    assert isinstance(data, dict)
    changed = {**manifest.training, "data": {**data, "test": test}}
    save_manifest(manifest.model_copy(update={"training": changed}), version)
    return folder / name


def test_every_task_but_translation_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    major = [asked for asked in ASKED if "m" not in asked.key]  # the small bundle has not learnt to write "m"
    monkeypatch.setattr("loadtest.bench.judge.ASKED", major)
    bundles = [
        with_test_file("tiny-classify", {"table": "labelled/test.tsv"}, tmp_path),
        with_test_file("tiny-tag", {"columns": "tagged/test.conll"}, tmp_path),
        DATA / "bundles" / "v1" / "tiny-items",
        with_test_file("tiny-answers", {"files": "stories/*_test.txt"}, tmp_path),
        DATA / "bundles" / "v1" / "tiny-captions",
        DATA / "bundles" / "v1" / "tiny-tunes",
        DATA / "bundles" / "v1" / "tiny-document",  # names no test file
        DATA / "bundles" / "v1" / "tiny-en-de",  # translates
    ]
    result = judge(bundles, DATA)
    assert [(each.model, each.data, sorted(each.scores)) for each in result.verdicts] == [
        ("tiny-classify", "labelled/test.tsv", ["accuracy"]),
        ("tiny-tag", "tagged/test.conll", ["entity F1", "entity precision", "entity recall"]),
        ("tiny-items", "sessions/events.csv", ["MRR@20", "Recall@20"]),
        ("tiny-answers", "stories/*_test.txt", ["accuracy", "solved"]),
        (
            "tiny-captions",
            "pictures/captions.tsv",
            [f"BLEU-{order}, {search}" for order in range(1, 5) for search in ("beam 4", "greedy")],
        ),
        (
            "tiny-tunes",
            "tunes/train.abc",
            [
                *("accepted", "even bars", "even throughout", "in the key", "in the metre"),
                *("known", "longest known run"),
            ],
        ),
    ]
    lines = (DATA / "labelled" / "test.tsv").read_text("utf-8").splitlines()
    assert result.verdicts[0].examples == len(lines) - 1
    assert (result.verdicts[0].scores["accuracy"] * result.verdicts[0].examples / 100) % 1 == pytest.approx(0)
    ranked = result.verdicts[2].scores
    assert 0 < ranked["MRR@20"] <= ranked["Recall@20"] <= 100
    answers = result.verdicts[3]
    assert (answers.examples, answers.scores) == (60, {"accuracy": pytest.approx(96.67, abs=0.01), "solved": 100.0})
    captions = result.verdicts[4]
    assert all(0 <= value <= 100 for value in captions.scores.values())
    assert captions.scores["BLEU-1, greedy"] >= captions.scores["BLEU-4, greedy"]
    tunes = result.verdicts[5]
    assert tunes.examples == len(major) == 160
    assert tunes.scores["accepted"] >= tunes.scores["in the key"] > 50
    (table,) = result.tables()
    assert isinstance(table, Table)
    assert len(table.rows) == 23
    assert [row[1] for row in table.rows[5:9:3]] == ["sessions/events.csv", "pictures/captions.tsv (validation)"]
    assert {score.split for score in result.scores("tiny-captions")} == {"validation"}
    (score,) = result.scores("tiny-classify")
    assert (score.metric, score.split, score.precision) == ("accuracy", "test", "int8")


def test_ranks_count_from_one_and_a_miss_is_nought() -> None:
    assert (_rank([7, 3], 3), _rank(["7"], 7), _rank([], 1)) == (2, 0, 0)
