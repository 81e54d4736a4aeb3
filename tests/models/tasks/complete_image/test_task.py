"""Models that draw, from their YAML to their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.registry import ConfigError, build, parse
from models.tasks.complete_image.module import bits_per_dimension, likelihood
from models.tasks.complete_image.task import Intensities
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.task import find_task
from models.training.trainer import train
from tests.models.tasks.complete_image.drawings import PICTURES, pixel_config

CPU = Hardware(accelerator="cpu")


@pytest.mark.parametrize("task", ["complete-image", "upscale"])
def test_a_model_learns_to_draw_and_scores_what_it_scored_in_training(task: str, tmp_path: Path) -> None:
    config = pixel_config(task, training={"epochs": 8})
    path = train(config, PICTURES, tmp_path, hardware=CPU, progress=False)
    first, *_, last = read_metrics(path)
    assert last["train_loss"] < 4.6 < 5 < first["train_loss"]
    best = max(read_metrics(path), key=lambda row: row["validation_likelihood"])
    run = load_run(path, PICTURES)
    scores = find_task(task).evaluate(run, "validation")
    assert scores["pictures"] == 6
    assert scores["likelihood"] == pytest.approx(best["validation_likelihood"], abs=0.01)
    assert scores["bits_per_dimension"] == pytest.approx(best["validation_loss"] / 0.693147, abs=1e-3)


def test_bits_are_what_an_intensity_takes() -> None:
    evenly = 5.545177  # the natural logarithm of 256
    assert bits_per_dimension(evenly) == pytest.approx(8)
    assert likelihood(evenly) == pytest.approx(100 / 256)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"architecture": {"name": "image_transformer"}}, "source_size: Extra inputs are not permitted"),
        ({"data": {"source_size": 3}}, "size 8 must be a multiple of source_size 3"),
        ({"data": {"source_size": 3, "size": 9, "train": []}}, "data.train"),
    ],
)
def test_what_does_not_fit_is_refused(sections: dict[str, dict[str, Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        train(pixel_config("upscale", **sections), PICTURES, tmp_path, hardware=CPU, progress=False)


def test_a_model_that_does_not_draw_is_refused() -> None:
    config = pixel_config()
    other = build("recurrent_generator", parse("recurrent_generator", {"vocabulary_size": 9}))
    with pytest.raises(ConfigError, match="'image_transformer' does not draw pictures"):
        find_task("complete-image").module(other, config, Intensities(), 1)
