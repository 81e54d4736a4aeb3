from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contract.items import Catalogue
from contract.rows import axis_sizes
from models.data.sessions import Case
from models.registry import ConfigError
from models.tasks.recommend import TASK
from models.tasks.recommend.data import RecommendVocabulary, encode, spread, training_rows
from models.tasks.recommend.module import _rank
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import Run, load_run, new_model
from models.training.task import parse_config
from models.training.trainer import train

DATA = Path(__file__).parents[3] / "data" / "sessions"
CATALOGUE = Catalogue((30, 20, 10), (1, 2, 3))


def config(**sections: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {
        "name": "tiny",
        "task": "recommend",
        "architecture": {"name": "stamp", "hidden_size": 16},
        "data": {"train": {"sessions": "train.txt"}, "test": {"cases": "test.tsv"}, "max_length": 4},
        "training": {
            "epochs": 6,
            "batch_tokens": 64,
            "learning_rate": 0.02,
            "warmup_steps": 4,
            "average_decay": 0.0,
        },
    }
    for name, values in sections.items():
        fields[name] = fields[name] | values
    return parse_config(fields, "test")


def run_of(model_config: Any) -> Run[Any, Any]:
    vocabulary = RecommendVocabulary(CATALOGUE, np.array([0, 1, 1, 1]))
    return Run(Path(), model_config, new_model(TASK, model_config, vocabulary).eval(), vocabulary, DATA)


def test_items_that_the_catalogue_lacks_are_skipped() -> None:
    assert encode(("10", "99", "30"), CATALOGUE) == [3, 1]


def test_rows_cover_every_case_of_a_long_session_once() -> None:
    catalogue = Catalogue(tuple(range(1, 8)), ())
    rows = training_rows([("1", "2", "3", "4", "5", "6"), ("7",), ("7", "8")], catalogue, max_length=3)
    cases = {
        (tuple(row["item_ids"][: place + 1].tolist()), int(item))
        for row in rows
        for place, item in enumerate(row["following"])
        if item
    }
    assert cases == {((1,), 2), ((1, 2), 3), ((1, 2, 3), 4), ((2, 3, 4), 5), ((3, 4, 5), 6)}
    assert sum(int((row["following"] > 0).sum()) for row in rows) == 5
    assert [int(row["item_counts"]) for row in rows] == [3, 3, 3]


def test_sessions_to_validate_with_are_spread_evenly() -> None:
    sessions = [(str(number), "x") for number in range(10)]
    assert [session[0] for session in spread(sessions, 4)] == ["0", "2", "5", "7"]
    assert spread(sessions, 20) == sessions


def test_a_rank_counts_equal_scores_and_leaves_the_dummy_out() -> None:
    table = torch.tensor([[9.0], [3.0], [2.0], [2.0], [1.0]])
    loss, rank = _rank(torch.ones(4, 1), table, torch.tensor([1, 2, 3, 4]))
    assert rank.tolist() == [1, 3, 3, 4]
    expected = torch.tensor([3.0, 2.0, 2.0, 1.0]).logsumexp(0) - torch.tensor([3.0, 2.0, 2.0, 1.0])
    torch.testing.assert_close(loss, expected)


def test_metrics_are_recall_and_mean_reciprocal_rank_at_20() -> None:
    run = run_of(config())
    outputs = [{"candidates": np.array(best)} for best in ([1, 2, 3], [1, 2, 3], [2, 1], [1, 2, 3], [1, 2, 3])]
    cases = [
        Case(("10",), "30"),
        Case(("10",), "20"),
        Case(("10",), "10"),
        Case(("10",), "99"),  # a target that the catalogue lacks
        Case(("99",), "30"),  # a prefix of which nothing is left
    ]
    found = TASK.metrics(run, outputs, cases)
    assert list(found) == list(TASK.scores)
    assert found == pytest.approx({"recall": 40.0, "mrr": 100 * (1 + 1 / 2) / 5})


def test_a_long_prefix_is_read_from_its_end() -> None:
    row = TASK.inputs(run_of(config()), Case(("10", "10", "20", "30", "99", "20", "10"), "30"))
    assert row["item_ids"].tolist() == [2, 1, 2, 3]
    assert {name: row[name].tolist() for name in ("item_counts", "filter_ids", "filter_mode", "k")} == {
        "item_counts": 4,
        "filter_ids": [0],
        "filter_mode": 0,
        "k": 3,
    }


def test_random_inputs_have_the_sizes_asked_for() -> None:
    run = run_of(config())
    generator = np.random.default_rng(0)
    sizes = {"items": 4, "filters": 3, "k": 2}
    rows = [TASK.random_inputs(run, sizes, generator) for _ in range(20)]
    assert all(axis_sizes(run.model.signature.inputs, row) == sizes for row in rows)
    assert {int(row["filter_mode"]) for row in rows} == {0, 1}
    assert {index for row in rows for index in row["item_ids"].tolist()} == {1, 2, 3}


@pytest.mark.parametrize(
    ("architecture", "training"),
    [
        ("stamp", {}),
        ("gru4rec", {"negatives": 4}),
        ("gru4rec", {"negatives": 8, "loss": "bpr_max", "regularisation": 0.1}),
    ],
)
def test_a_run_learns_what_follows_what(architecture: str, training: dict[str, Any], tmp_path: Path) -> None:
    chosen = config(architecture={"name": architecture}, training=training)
    run = train(chosen, DATA, tmp_path, hardware=Hardware(accelerator="cpu"), progress=False)
    first, *_, last = read_metrics(run)
    assert last["train_loss"] < first["train_loss"]
    result = json.loads((run / "result.json").read_text())
    assert result["validation_recall"] == 100  # twelve items, all among the first 20
    scores = TASK.evaluate(load_run(run, DATA), "test")
    assert scores["examples"] == 65
    # Four of five steps go to the next item of the shelf; guessing among twelve gives 26.
    assert float(scores["mrr"]) > 60
    assert TASK.limits(load_run(run, DATA)).model_dump(exclude_none=True) == {"items": 4, "filters": 1_000, "k": 12}


def test_a_bundle_gets_the_catalogue(tmp_path: Path) -> None:
    assert TASK.preprocessing(run_of(config()), tmp_path).files == ("catalogue.json",)
    assert Catalogue.load(tmp_path / "catalogue.json") == CATALOGUE


def test_a_table_of_events_serves_all_splits(tmp_path: Path) -> None:
    rows = [f"v{n},{item},{n * 10 + place}" for n in range(40) for place, item in enumerate(("a", "b", "c"))]
    (tmp_path / "events.csv").write_text("\n".join(["session,item,time", *rows]) + "\n")
    run = run_of(config(data={"train": {"table": "events.csv"}, "test": None}))
    run = Run(run.path, run.config, run.model, run.vocabulary, tmp_path)
    sizes = {split: len(TASK.examples(run, split)) for split in ("train", "validation", "test")}
    assert sizes == {"train": 66, "validation": 6, "test": 8}


def test_a_missing_test_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"the config names no test file \(data.test\)"):
        TASK.examples(run_of(config(data={"test": None})), "test")


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        ({"training": {"loss": "bpr"}}, "loss bpr compares with sampled items: set training.negatives"),
        ({"data": {"train": {"table": "events.csv"}}}, "test_days or test_fraction splits"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(sections: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        config(**sections)


def test_positions_below_the_length_of_a_session_are_refused() -> None:
    chosen = config(architecture={"name": "sasrec", "max_length": 3, "num_heads": 1})
    vocabulary = RecommendVocabulary(CATALOGUE, np.array([0, 1, 1, 1]))
    with pytest.raises(ConfigError, match=r"architecture.max_length 3 is below data.max_length 4"):
        TASK.module(new_model(TASK, chosen, vocabulary), chosen, vocabulary, 1)
