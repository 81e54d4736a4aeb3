"""Replies of one-shot routes are held against a bundle's own test set, over HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from contract.manifest import latest_version, load_manifest, save_manifest
from loadtest.bench.judge import _rank, judge
from loadtest.bench.table import Table

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


def test_every_one_shot_task_is_judged(tmp_path: Path) -> None:
    bundles = [
        with_test_file("tiny-classify", {"table": "labelled/test.tsv"}, tmp_path),
        with_test_file("tiny-tag", {"columns": "tagged/test.conll"}, tmp_path),
        DATA / "bundles" / "v1" / "tiny-items",
        DATA / "bundles" / "v1" / "tiny-document",  # names no test file
        DATA / "bundles" / "v1" / "tiny-en-de",  # translates
    ]
    result = judge(bundles, DATA)
    assert [(each.model, each.data, sorted(each.scores)) for each in result.verdicts] == [
        ("tiny-classify", "labelled/test.tsv", ["accuracy"]),
        ("tiny-tag", "tagged/test.conll", ["entity F1", "entity precision", "entity recall"]),
        ("tiny-items", "sessions/events.csv", ["MRR@20", "Recall@20"]),
    ]
    lines = (DATA / "labelled" / "test.tsv").read_text("utf-8").splitlines()
    assert result.verdicts[0].examples == len(lines) - 1
    assert (result.verdicts[0].scores["accuracy"] * result.verdicts[0].examples / 100) % 1 == pytest.approx(0)
    ranked = result.verdicts[2].scores
    assert 0 < ranked["MRR@20"] <= ranked["Recall@20"] <= 100
    (table,) = result.tables()
    assert isinstance(table, Table)
    assert len(table.rows) == 6
    (score,) = result.scores("tiny-classify")
    assert (score.metric, score.split, score.precision) == ("accuracy", "test", "int8")


def test_ranks_count_from_one_and_a_miss_is_nought() -> None:
    assert (_rank([7, 3], 3), _rank(["7"], 7), _rank([], 1)) == (2, 0, 0)
