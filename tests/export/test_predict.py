from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract.manifest import Manifest, load_manifest
from contract.rows import Array
from export.errors import MetricError, RuntimeMismatchError
from export.pipeline import Options, export_bundle
from export.predict import PredictMaterial
from export.verify.predict import answering, verify_engine
from models.training.predict import predict_rows
from service.runtime.verify import verify_bundle
from tests.export.predictors import TOYS, make_predict_material

Exported = tuple[Path, Manifest, PredictMaterial]


@pytest.fixture(scope="module", params=TOYS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A toy for one kind of input, exported whole, in every precision. Read it, never write to it."""
    material = make_predict_material(request.param)
    folder = tmp_path_factory.mktemp("artifacts") / f"toy-{request.param}" / "1"
    # Nothing was learnt, so the best and the second best are often close.
    options = Options(ship=("fp32", "int8", "fp16"), metric_drop=25)
    manifest = export_bundle(material, folder, options, lambda stage: None)
    return folder, manifest, material


def test_a_bundle_says_what_it_holds(exported: Exported) -> None:
    folder, manifest, material = exported
    assert load_manifest(folder) == manifest
    assert (manifest.task, manifest.limits) == (material.task, material.limits)
    assert (manifest.special, manifest.decoding) == (None, None)
    assert manifest.vocabulary_size == material.vocabulary
    assert [(v.precision, v.status) for v in manifest.variants] == [
        ("fp32", "verified"),
        ("int8", "verified"),
        ("fp16", "unproven"),
    ]
    single, integer, half = manifest.variants
    assert single.max_error < 1e-5 < integer.max_error < 0.25
    assert single.metrics == {"agreement": 100.0}
    assert half.metrics == {}
    assert single.speed.latency_seconds > 0
    assert half.speed is None


def test_any_machine_can_repeat_the_proof(exported: Exported) -> None:
    folder, manifest, _ = exported
    measured = {(m.precision, m.graph, m.output) for m in verify_bundle(folder) if m.max_error is not None}
    outputs = [(g.kind, t.name) for g in manifest.variant("fp32").graphs for t in g.outputs if t.name != "candidates"]
    assert measured == {(precision, *output) for precision in ("fp32", "int8") for output in outputs}


def test_predict_and_explain_share_their_weights(exported: Exported) -> None:
    folder, manifest, _ = exported
    if not manifest.signature.explains:
        return
    for variant in manifest.variants:
        places = {}
        for graph in variant.graphs:
            tensors = onnx.load(folder / graph.file, load_external_data=False).graph.initializer
            outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
            places[graph.kind] = {entry.value for t in outside for entry in t.external_data if entry.key == "offset"}
        assert places["explain"] <= places["predict"]


def test_outputs_are_single_in_every_precision(exported: Exported) -> None:
    for variant in exported[1].variants:
        for graph in variant.graphs:
            assert {t.dtype for t in graph.outputs} <= {"float32", "int64"}


def test_the_card_says_how_it_is_called_and_what_it_takes(exported: Exported) -> None:
    folder, manifest, _ = exported
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    asked = '"session": [1, 2, 3]' if manifest.task == "recommend" else '"text": "…"'
    assert f"localhost:3000/v1/{manifest.task} " in card
    assert f'{{"model": "{manifest.name}", {asked}}}' in card
    said = {
        "toy-text": "At most 20 tokens. The",
        "toy-document": "At most 6 sentences, 9 tokens in a sentence. The",
        "toy-words": "At most 20 tokens, 8 characters in a word. The",
        "toy-session": "At most 10 items in a session, 7 items to filter by, 6 answers. The",
    }
    assert said[manifest.name] in card
    assert "| agreement | 100.00 | toy words, validation | fp32 | 40 examples, through the one-shot engine |" in card
    assert "| fp16 | cuda | unproven |" in card
    assert "a second, with 32 waiting" in card
    assert ("| labels | bad, good, odd |" in card) == (manifest.task == "classify")
    assert ("| language | eo |" in card) == (manifest.task == "tag")


def test_the_engine_answers_what_the_model_does(exported: Exported) -> None:
    folder, _, material = exported
    with answering(folder, "fp32") as ask:
        answers = ask(material.judged)
    verify_engine(material.model, material.judged, answers, 1e-4)
    name = material.model.signature.outputs[-1].name
    answers[3] = {**answers[3], name: answers[3][name] + np.float32(0.01)}
    with pytest.raises(RuntimeMismatchError, match=r"input 3 \(sizes .*\): the engine's answer differs .* by 0\.01"):
        verify_engine(material.model, material.judged, answers, 1e-4)


def test_random_rows_are_of_many_sizes_and_within_the_limits() -> None:
    material = make_predict_material("words")
    rows = material.random_rows((30, 2, 1), seed=1)
    assert [row["character_ids"].shape for row in rows] == [(20, 2), (2, 1), (1, 8)]


def test_a_precision_that_answers_worse_is_refused(tmp_path: Path) -> None:
    material = make_predict_material("text")
    expected = predict_rows(material.model, material.judged)

    def exact(answers: list[Mapping[str, Array]]) -> dict[str, float]:
        errors = [np.abs(one["scores"] - other["scores"]).max() for one, other in zip(expected, answers, strict=True)]
        return {"exact": 100.0 * float(np.mean(np.array(errors) < 1e-4)), "less_important": 0.0}

    options = Options(precisions=("fp32", "int8"), ship=("int8",))
    with pytest.raises(MetricError, match=r"int8: exact on the validation split is .*, fp32 has 100\.00"):
        export_bundle(replace(material, score=exact), tmp_path / "toy" / "1", options, lambda stage: None)
    assert list(tmp_path.iterdir()) == []
