"""Captioners of every kind become bundles that hold what they promise."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from contract.images import read_pixels
from contract.manifest import Licence, Limits, Manifest, load_manifest
from contract.rows import pad_rows
from export.caption import CaptionMaterial
from export.errors import ExportError
from export.pipeline import Options, export_bundle
from export.runs import from_run
from export.verify.generate import decoding
from export.verify.graphs import open_graph
from models.tasks.caption import TASK
from models.training.run import WEIGHTS, load_run, new_model, prepare
from models.training.task import load_config
from service.runtime.bundle import open_bundle
from service.runtime.errors import NoAttentionError
from service.runtime.explain import Explainer
from service.runtime.requests import Hypothesis
from service.runtime.verify import verify_bundle
from tests.export.captioners import DATA, KINDS, REGIONS, SIDE, make_caption_material
from tests.export.toys import make_model

Exported = tuple[Path, Manifest, CaptionMaterial]


@cache
def _export(kind: str, folder: Path) -> Exported:
    """Export verifies structure, numbers, step == full, row alone == row in batch and the engine, or raises."""
    material = make_caption_material(kind)
    target = folder / kind / "1"
    options = Options(precisions=("fp32", "int8"), ship=("fp32", "int8"), metric_drop=100)
    return target, export_bundle(material, target, options, lambda stage: None), material


@pytest.fixture(params=KINDS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A captioner of each kind, exported whole; once for all tests."""
    return _export(request.param, tmp_path_factory.getbasetemp() / "captioners")


def test_a_bundle_says_what_it_reads_and_writes(exported: Exported) -> None:
    folder, manifest, material = exported
    assert load_manifest(folder) == manifest
    assert (manifest.task, manifest.limits) == ("caption", Limits(target=12))
    assert (manifest.decoding_defaults.beam_size, manifest.decoding_defaults.length_penalty) == (4, 0.6)
    assert manifest.image.model_dump(exclude={"kind", "target_tokenizer"}) == {
        "size": SIDE,
        "fit": "crop",
        "grid": (2, 2),
    }
    assert [(tensor.name, tensor.axes) for tensor in manifest.signature.inputs] == [("pixels", ("rows", SIDE, SIDE, 3))]
    assert [(v.precision, v.status) for v in manifest.variants] == [("fp32", "verified"), ("int8", "verified")]
    assert list(manifest.variants[1].metrics) == ["bleu_4", "bleu_3", "bleu_2", "bleu_1"]
    assert manifest.scores[0].metric == "BLEU-4"
    assert manifest.scores[0].note == f"{len(material.examples)} pictures, greedy, through the decoding engine"
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert f"| pictures | the middle scaled to {SIDE} × {SIDE} pixels, in 2 × 2 regions |" in card
    assert f"curl -s localhost:3000/v1/caption -F model={folder.parent.name} -F image=@photo.jpg" in card


def test_the_integer_encoder_computes_on_bytes_alone(exported: Exported) -> None:
    graph = onnx.load(exported[0] / "int8" / "encode.onnx", load_external_data=False).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("QLinearConv") == 10
    assert operators.count("QLinearAdd") == 1
    assert not {"Conv", "Clip", "QLinearMatMul"} & set(operators)
    first = next(node for node in graph.node if node.op_type == "QLinearConv")
    assert next(node for node in graph.node if first.input[0] in node.output).op_type == "Transpose"


def test_a_picture_is_encoded_alike_alone_and_in_company_to_the_last_bit(exported: Exported) -> None:
    folder, manifest, material = exported
    encode, rows = open_graph(folder / "int8" / "encode.onnx"), material.rows[:7]
    together = encode(pad_rows(manifest.signature.inputs, rows))
    for number, row in enumerate(rows):
        for name, array in encode(pad_rows(manifest.signature.inputs, [row])).items():
            np.testing.assert_array_equal(array[0], together[name][number], err_msg=name)


def test_the_engine_says_the_same_of_a_picture_alone_and_in_company(exported: Exported) -> None:
    folder, _, material = exported
    rows = material.random_rows((1,) * 5, seed=6)
    with decoding(material, folder, "int8") as decode:
        together = [hypothesis.token_ids for hypothesis in decode(rows)]
        alone = [decode([row])[0].token_ids for row in rows]
    assert together == alone


def test_the_engine_explains_each_of_several_captions_as_the_model_does(exported: Exported) -> None:
    """By a graph of its own, or step by step from one encoding of the picture."""
    folder, manifest, material = exported
    explainer = Explainer(open_bundle(folder, precision="fp32", provider="cpu"))
    (row,) = material.random_rows((1,), seed=8)
    captions = [[5, 7, 6], [9]]
    if not manifest.signature.explains:
        with pytest.raises(NoAttentionError):
            explainer.explain(row, captions)
        return
    found = explainer.explain(row, captions)
    assert found.shape == (2, 4, REGIONS)
    model, inputs = material.model, {"pixels": torch.from_numpy(row["pixels"][None])}
    for ids, weights in zip(captions, found, strict=True):
        target_ids = torch.tensor([[manifest.special_ids.bos, *ids]])
        with torch.no_grad():
            by_graph = manifest.signature.explain == "explain"
            expected = model.explain(inputs, target_ids) if by_graph else model.teach(inputs, target_ids).weights
        np.testing.assert_allclose(weights[: len(ids) + 1], expected[0].numpy(), atol=1e-4)


def test_any_machine_can_repeat_the_proof(exported: Exported) -> None:
    measured = verify_bundle(exported[0])
    kinds = {"encode", "step", *([exported[1].signature.explain] if exported[1].signature.explain else [])}
    assert {m.graph for m in measured} == kinds
    assert all(m.max_error is not None for m in measured)


def test_pictures_are_judged_as_the_service_reads_them() -> None:
    material = make_caption_material("none")
    first = material.examples[0]
    np.testing.assert_array_equal(material.rows[0]["pixels"], read_pixels(first.content, SIDE, "crop"))
    assert len(material.rows) == 18
    answers = [
        Hypothesis(material.target.encode(picture.captions[1]).ids, score=0.0, log_probability=0.0, finished=True)
        for picture in material.examples
    ]
    assert material.metrics(answers, dict)["bleu_1"] == pytest.approx(100)
    assert material.max_length(material.rows[0]) == 12


def test_a_run_says_everything_that_a_bundle_needs(tmp_path: Path) -> None:
    config = load_config(DATA / "bundles" / "configs" / "tiny-captions.yaml")
    vocabulary = TASK.learn(config, DATA)
    prepare(tmp_path / "toy", config, vocabulary)
    weights = new_model(TASK, config, vocabulary).state_dict()
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, tmp_path / "toy" / WEIGHTS)
    material = from_run(load_run(tmp_path / "toy", DATA))
    assert isinstance(material, CaptionMaterial)
    assert (material.task, material.fit, material.limits) == ("caption", "squeeze", Limits(target=16))
    assert material.about.licence == Licence(
        data="pictures", source="pictures/train.tar, pictures/loose, pictures/captions.tsv", terms="made up for tests"
    )
    assert [picture.name for picture in material.examples] == ["shape12.jpg", "shape13.jpg", "shape14.jpg"]
    assert material.rows[0]["pixels"].shape == (32, 32, 3)


def test_an_architecture_that_does_not_read_pictures_is_refused() -> None:
    run: Any = SimpleNamespace(
        task=TASK,
        config=SimpleNamespace(task="caption", architecture_name="transformer"),
        model=make_model("transformer"),
        path="runs/blind",
    )
    with pytest.raises(ExportError, match="runs/blind: architecture 'transformer' does not read pictures"):
        from_run(run)


def test_random_pictures_differ_and_repeat() -> None:
    material = make_caption_material("none")
    rows = material.random_rows((4, 4), seed=1)
    assert rows[0]["pixels"].shape == (SIDE, SIDE, 3)
    assert not np.array_equal(rows[0]["pixels"], rows[1]["pixels"])
    np.testing.assert_array_equal(rows[1]["pixels"], material.random_rows((9, 2), seed=1)[1]["pixels"])
    assert np.prod(material.model.grid) == REGIONS
