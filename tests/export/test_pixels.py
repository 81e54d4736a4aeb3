"""Models that draw become bundles that hold what they promise."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from contract.inputs import START
from contract.manifest import Limits, Manifest, load_manifest
from contract.pixels import BOS_ID, pixel_tokens
from export.errors import ExportError
from export.pipeline import Options, export_bundle
from export.pixels import CompletionMaterial, PixelMaterial, UpscaleMaterial, completion_material, upscale_material
from export.runs import from_run
from models.training.run import WEIGHTS, Run, load_run, new_model, prepare
from models.training.task import find_task
from service.runtime.verify import verify_bundle
from tests.models.tasks.complete_image.drawings import PICTURES, pixel_config

Exported = tuple[Path, Manifest, PixelMaterial]

TASKS = ("complete-image", "upscale")


@cache
def make_run(task: str, folder: Path) -> Run[Any, Any]:
    """A run that learnt nothing, with random weights, biases too."""
    config = pixel_config(task)
    vocabulary = find_task(task).learn(config, PICTURES)
    prepare(folder / task, config, vocabulary)
    model = new_model(find_task(task), config, vocabulary)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / task / WEIGHTS)
    return load_run(folder / task, PICTURES)


@cache
def _export(task: str, folder: Path) -> Exported:
    """Export verifies structure, numbers, step == full, row alone == row in batch and the engine, or raises."""
    material = from_run(make_run(task, folder))
    assert isinstance(material, PixelMaterial)
    target = folder / "bundles" / task / "1"
    options = Options(precisions=("fp32", "int8"), ship=("fp32", "int8"))
    return target, export_bundle(material, target, options, lambda stage: None), material


@pytest.fixture(params=TASKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A model of each task, exported whole; once for all tests."""
    return _export(request.param, tmp_path_factory.getbasetemp() / "drawing")


def test_a_bundle_says_what_it_reads_and_draws(exported: Exported) -> None:
    folder, manifest, _ = exported
    assert load_manifest(folder) == manifest
    assert manifest.limits == Limits(target=192)
    assert manifest.vocabulary_size == 256
    assert manifest.special_ids.model_dump() == {"pad": 0, "unk": None, "bos": BOS_ID, "eos": None}
    source = None if manifest.task == "complete-image" else 4
    assert manifest.pixels.model_dump() == {"kind": "pixels", "size": 8, "fit": "squeeze", "source_size": source}
    assert manifest.decoding_defaults.sampling is not None
    assert {state.write for state in manifest.signature.states} >= {"circular", "replaced"}
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    seen = "8 × 8 pixels" if source is None else "4 × 4, drawn anew at 8 × 8 pixels"
    assert f"| pictures | the whole squeezed to {seen} |" in card
    assert "| vocabulary | 256 intensities |" in card
    assert f"/v1/{manifest.task} -F model={manifest.name} -F image=@photo.jpg" in card
    assert "At most 192 intensities, three of each pixel." in card


def test_bits_per_dimension_are_those_of_the_model_whatever_the_intensities(exported: Exported) -> None:
    folder, manifest, _ = exported
    run = make_run(manifest.task, folder.parents[2])
    known = find_task(manifest.task).evaluate(run, "validation")
    found = manifest.variants[0].metrics
    assert found["bits_per_dimension"] == pytest.approx(known["bits_per_dimension"], abs=0.01)
    assert found["likelihood"] == pytest.approx(100 * 2 ** -float(known["bits_per_dimension"]), abs=0.01)
    assert manifest.variants[1].metrics["bits_per_dimension"] == pytest.approx(found["bits_per_dimension"], abs=0.1)
    assert all(math.isfinite(score.value) for score in manifest.scores)


def test_any_machine_can_repeat_the_proof(exported: Exported) -> None:
    measured = verify_bundle(exported[0])
    assert {each.graph for each in measured} == {"encode", "step"}


def test_half_of_a_picture_is_given_to_be_completed(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = make_run("complete-image", tmp_path_factory.getbasetemp() / "drawing")
    material = completion_material(run)
    assert isinstance(material, CompletionMaterial)
    row, picture = material.rows[2], material.sequences[2]
    assert row["prompt_ids"].tolist() == [BOS_ID, *picture[:95]]
    assert (int(row[START]), material.first_token(row), material.max_length(row)) == (96, picture[95], 96)
    with pytest.raises(ExportError, match="'image_transformer' does not draw from pictures"):
        upscale_material(run)


def test_a_small_picture_is_given_to_be_drawn_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = make_run("upscale", tmp_path_factory.getbasetemp() / "drawing")
    material = upscale_material(run)
    assert isinstance(material, UpscaleMaterial)
    (small, whole), (row, ids) = material.pictures[0], material.examples_of_use[0]
    assert (small.shape, whole.shape) == ((4, 4, 3), (8, 8, 3))
    np.testing.assert_array_equal(row["pixels"], small)
    assert list(ids) == [BOS_ID, *pixel_tokens(whole)]
    assert material.max_length(row) == 192
    with pytest.raises(ExportError, match="'image_upscaler' does not go on with pictures"):
        completion_material(run)
