"""From runs to records: a tiny tagger, trained, exported and recorded; and bundles that were there before."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from contract.manifest import load_manifest
from contract.versions import latest_version
from export.results.__main__ import app
from export.results.measure import find_bundle, score_run, with_bundle
from export.results.queue import forget_other, missing, same_run, work_off
from export.results.record import Record, fingerprint, load_records
from models.training.comparison import Comparison, planned_runs
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.task import load_config, parse_config
from models.training.trainer import train
from tests.export.results.records import make_record

DATA = Path(__file__).resolve().parents[2] / "data"
CONFIG, BUNDLES = DATA / "bundles" / "configs" / "tiny-tag.yaml", DATA / "bundles" / "v1"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in whose folder commands are called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "configs").mkdir(parents=True)
    (tmp_path / "models" / "configs" / "tiny-tag.yaml").write_text(CONFIG.read_text("utf-8"), "utf-8")
    return tmp_path


def test_a_comparison_is_worked_off_run_by_run(project: Path) -> None:
    fields = {
        "title": "Layers",
        "base": "tiny-tag",
        "shared": {"training": {"epochs": 1, "batch_tokens": 1_000}},
        "variants": {"one": {"architecture": {"layers": 1}}, "two": {"architecture": {"layers": 2}}},
        "seeds": [1],
    }
    comparison, told = Comparison.model_validate(fields), []
    assert work_off("layers", comparison, DATA, told.append, most=1) == 1
    (record,) = load_records().values()
    assert told[-1] == f"layers/one-seed1: {Path('docs/records/layers/one-seed1.json')}"
    run = project / "runs" / "comparisons" / "layers" / "layers-one-seed1"
    (row,) = read_metrics(run)
    assert (record.run, record.task, record.seed) == ("layers/one-seed1", "tag", 1)
    assert record.validation["f1"] == pytest.approx(row["validation_f1"], abs=0.01)
    assert (record.training.epochs, record.training.planned_epochs, record.training.best_epoch) == (1, 1, 1)
    assert record.training.processor_seconds == pytest.approx(row["processor_seconds"], abs=0.1)
    assert record.training.hardware == Hardware(accelerator="cpu")
    assert record.parameters == sum(p.numel() for p in load_run(run, DATA).model.parameters())

    single, integer, half = record.exported
    assert [made.precision for made in record.exported] == ["fp32", "int8", "fp16"]
    assert single.metrics["f1"] == pytest.approx(record.validation["f1"], abs=0.01)
    assert single.max_error is not None
    assert single.max_error < 1e-4
    assert integer.bytes < half.bytes < single.bytes
    assert single.speed is not None
    assert (single.speed.waiting, record.not_exported) == (32, "")
    assert list((project / "runs").rglob("*.onnx")) == []

    planned = planned_runs("layers", comparison)
    assert [one.run for one in missing(planned, load_records())] == ["layers/two-seed1"]


def test_a_run_of_another_config_is_missing() -> None:
    comparison = Comparison(title="t", base="tiny-tag", variants={"one": {}, "two": {"architecture": {"layers": 2}}})
    planned = list(planned_runs("layers", comparison, CONFIG.parent))
    records = {one.run: make_record(one.run, config=fingerprint(one.config)) for one in planned}
    assert list(missing(planned, records)) == []
    stale = planned[2].run
    assert [one.run for one in missing(planned, records | {stale: make_record(stale)})] == [stale]


def test_what_another_comparison_has_trained_is_not_trained_again() -> None:
    comparison = Comparison(title="t", base="tiny-tag", variants={"one": {}, "two": {"architecture": {"layers": 2}}})
    first, second, *_ = planned_runs("layers", comparison, CONFIG.parent)
    record = make_record("depths/two-seed1", config=fingerprint(second.config))
    records = {record.run: record, "two": make_record("two", config=fingerprint(second.config))}
    assert same_run(second, comparison, records) == record.model_copy(update={"run": "layers/two-seed1"})
    assert same_run(first, comparison, records) is None
    assert same_run(second, comparison, {record.run: record.model_copy(update={"exported": ()})}) is None
    assert same_run(second, comparison.model_copy(update={"by_source_length": True}), records) is None


def test_a_run_folder_of_another_budget_is_not_gone_on_with(tmp_path: Path) -> None:
    config = load_config(CONFIG)
    run = tmp_path / config.name
    run.mkdir()
    (run / "config.yaml").write_text(CONFIG.read_text("utf-8"), "utf-8")
    forget_other(run, config.model_copy(update={"name": "another-name"}))
    assert run.is_dir()
    forget_other(run, config.model_copy(update={"training": config.training.model_copy(update={"epochs": 1})}))
    assert not run.exists()
    forget_other(run, config)


def test_a_run_is_recorded_once_and_a_bundle_of_it_is_its_export(project: Path) -> None:
    config = parse_config(yaml.safe_load(CONFIG.read_text("utf-8")), "tiny-tag")
    config = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 1})})
    run = train(config, DATA, project / "runs", hardware=Hardware(accelerator="cpu"), progress=False)
    arguments = ["record", str(run), "--data", str(DATA), "--scores-only"]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert first.output.splitlines() == [
        f"tiny-tag: {told}" for told in ("validation", "test", "docs/records/tiny-tag.json")
    ]
    assert load_records()["tiny-tag"] == score_run(load_run(run, DATA), "tiny-tag", lambda stage: None)
    again = CliRunner().invoke(app, arguments)
    assert (again.exit_code, again.output) == (0, "")


def test_the_bundle_of_a_run_is_known_by_its_training_config() -> None:
    manifest = load_manifest(latest_version(BUNDLES / "tiny-tag"))
    record: Record = make_record(config=fingerprint(load_config(CONFIG)), exported=())
    assert find_bundle(record, BUNDLES) == manifest
    assert find_bundle(make_record(), BUNDLES) is None
    exported = with_bundle(record, manifest).exported
    assert [made.precision for made in exported] == [variant.precision for variant in manifest.variants]
    assert exported[0].bytes == sum(
        path.stat().st_size for path in (BUNDLES / "tiny-tag" / manifest.version / exported[0].precision).iterdir()
    )
