"""Two tiny taggers are exported, timed in turns, and their records say the best rounds and nothing else that is new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from export.results.__main__ import app
from export.results.queue import work_off
from export.results.record import Record, load_records
from models.training.comparison import load_comparison
from tests.export.results.records import SPEED

DATA = Path(__file__).resolve().parents[2] / "data"
FIELDS = {
    "title": "Layers",
    "base": "tiny-tag",
    "shared": {"training": {"epochs": 1, "batch_tokens": 1_000}},
    "variants": {"one": {"architecture": {"layers": 1}}, "two": {"architecture": {"layers": 2}}},
    "seeds": [1, 2],
}
FIRST = ("layers/one-seed1", "layers/two-seed1")


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Record]:
    """The records of a comparison of which the first seed alone was run."""
    monkeypatch.chdir(tmp_path)
    configs, comparisons = tmp_path / "models" / "configs", tmp_path / "models" / "comparisons"
    configs.mkdir(parents=True)
    comparisons.mkdir()
    (configs / "tiny-tag.yaml").write_bytes((DATA / "bundles" / "configs" / "tiny-tag.yaml").read_bytes())
    (comparisons / "layers.yaml").write_text(yaml.safe_dump(FIELDS), "utf-8")
    assert work_off("layers", load_comparison("layers"), DATA, lambda stage: None, most=2) == 2
    return load_records()


def test_variants_are_timed_in_turns_and_the_best_rounds_are_noted(
    recorded: dict[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def measured(ask: Any, rows: Any, timing: Any) -> Any:
        asked.append(len(ask(rows[:2])))
        seconds = abs(len(asked) - 6.2)
        return SPEED.model_copy(update={"latency_seconds": seconds, "rows_per_second": 1 / seconds})

    monkeypatch.setattr("export.results.speeds.measure_speed", measured)
    called = CliRunner().invoke(app, ["speeds", "layers", "--data", str(DATA), "--rounds", "3"])
    assert called.exit_code == 0, called.output
    told = [f"{run}: exporting" for run in FIRST] + [f"layers: round {number} of 3" for number in (1, 2, 3)]
    assert called.output.splitlines() == told + [f"{run}: docs/records/{run}.json" for run in FIRST]

    # Two variants in two precisions, three rounds. Calls 5 to 8, which are the second round, are the fastest.
    assert asked == [2] * 12
    again = load_records()
    assert list(again) == list(recorded) == list(FIRST)
    best = {"fp32": [1.2, 0.8], "int8": [0.2, 1.8]}
    for number, run in enumerate(FIRST):
        before, after = recorded[run], again[run]
        for made in after.exported[:2]:
            assert made.speed is not None
            assert made.speed.latency_seconds == pytest.approx(best[made.precision][number])
            assert made.speed.rows_per_second == pytest.approx(1 / best[made.precision][number])
        assert after.exported[2] == before.exported[2]
        same = [made.model_copy(update={"speed": None}) for made in before.exported]
        assert [made.model_copy(update={"speed": None}) for made in after.exported] == same
        assert after.model_copy(update={"exported": ()}) == before.model_copy(update={"exported": ()})


def test_without_the_run_a_clear_error(recorded: dict[str, Record]) -> None:
    run = Path("runs/comparisons/layers/layers-two-seed1")
    run.rename(run.with_name("elsewhere"))
    (run.with_name("elsewhere") / "config.yaml").unlink()
    called = CliRunner().invoke(app, ["speeds", "--data", str(DATA)])
    assert str(called.exception) == "layers-two-seed1: no run of any comparison has this config: train it anew"
    assert load_records() == recorded
