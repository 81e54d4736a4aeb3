"""Runs of every one-shot task, untrained and tiny, become bundles that the service's engine answers from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

from contract.manifest import Limits, load_manifest
from export.__main__ import app
from export.errors import ExportError
from export.predict import PredictMaterial
from export.runs import from_run
from models.training.predict import predict_rows
from models.training.run import WEIGHTS, load_run, new_model, prepare
from models.training.task import find_task, load_config

DATA = Path(__file__).resolve().parents[1] / "data"
CONFIGS = DATA / "bundles" / "configs"
LIMITS = {
    "tiny-classify": Limits(source=48),
    "tiny-document": Limits(sentences=6, words=12),
    "tiny-tag": Limits(source=64, characters=32),
    "tiny-answers": Limits(sentences=6, words=8, source=8),
    "tiny-items": Limits(items=12, filters=1000, k=40),
}


def make_run(name: str, folder: Path) -> Path:
    """A run folder as training leaves it, but for the training."""
    config = load_config(CONFIGS / f"{name}.yaml")
    task = find_task(config.task)
    vocabulary = task.learn(config, DATA)
    prepare(folder, config, vocabulary)
    model = new_model(task, config, vocabulary)
    save_file({key: value.contiguous().clone() for key, value in model.state_dict().items()}, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize("name", LIMITS)
def test_a_run_says_everything_that_a_bundle_needs(name: str, tmp_path: Path) -> None:
    run = load_run(make_run(name, tmp_path / name), DATA)
    material = from_run(run)
    assert isinstance(material, PredictMaterial)
    assert material.limits == LIMITS[name]
    assert material.task == run.config.task
    assert material.about.licence.terms == "made up for tests"
    assert material.about.description.startswith(("Made-up", "Names", "The next"))
    assert len(material.rows) == len(run.task.examples(run, "validation"))
    metrics = material.metrics(predict_rows(material.model, material.rows), dict)
    assert next(iter(metrics)) == run.task.scores[0]
    assert all(0 <= value <= 100 for value in metrics.values())


@pytest.mark.parametrize("name", LIMITS)
def test_the_command_exports_a_run(name: str, tmp_path: Path) -> None:
    run, output = make_run(name, tmp_path / name), tmp_path / "artifacts" / name
    arguments = [str(run), "--output", str(output), "--data", str(DATA), "--precisions", "fp32", "--ship", "fp32"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert f"{output}/1 fp32: verified" in result.output
    manifest = load_manifest(output / "1")
    assert (manifest.name, manifest.limits) == (name, LIMITS[name])


def test_what_writes_nothing_has_no_length_penalty(tmp_path: Path) -> None:
    run = make_run("tiny-items", tmp_path / "tiny-items")
    arguments = [str(run), "--output", str(tmp_path / "artifacts"), "--data", str(DATA), "--length-penalty", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "a model for 'recommend' writes nothing: leave out --length-penalty" in result.output


def test_a_run_that_others_start_from_is_refused() -> None:
    run: Any = SimpleNamespace(task=object(), config=SimpleNamespace(task="masked-language-model"), path="runs/first")
    with pytest.raises(ExportError, match=r"runs/first: a run for the task 'masked-language-model' is trained for"):
        from_run(run)
