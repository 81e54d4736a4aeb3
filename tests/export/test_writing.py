"""Language models become bundles that go on from prompts of any length, nothing included."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from contract.inputs import START
from contract.manifest import Manifest, Sampling, load_manifest
from export.__main__ import _with_sampling
from export.cases import torch_runner
from export.errors import ExportError, RuntimeMismatchError
from export.pipeline import Options, export_bundle
from export.verify.generate import decoding
from export.verify.prompt import mean_loss
from export.writing import CharacterMaterial, character_material
from service.runtime.requests import Hypothesis
from service.runtime.verify import verify_bundle
from tests.export.toys import make_material, make_model
from tests.export.writers import LONGEST, SIZES, make_writing_material

Exported = tuple[Path, Manifest, CharacterMaterial]


@cache
def _export(architecture: str, folder: Path) -> Exported:
    """Export verifies structure, numbers, step == full, row alone == row in batch and the engine, or raises."""
    material = replace(make_writing_material(architecture), sampling=Sampling(temperature=0.5, top_p=0.75))
    target = folder / architecture.replace("_", "-") / "1"
    options = Options(precisions=("fp32", "int8"), ship=("fp32", "int8"), metric_drop=5)
    return target, export_bundle(material, target, options, lambda stage: None), material


@pytest.fixture(params=SIZES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A language model of each kind, exported whole; once for all tests."""
    return _export(request.param, tmp_path_factory.getbasetemp() / "writers")


def loss_of(material: CharacterMaterial) -> float:
    """Mean loss of the sequences, each read whole by PyTorch."""
    total, bos = 0.0, material.special.bos
    for ids in material.sequences:
        with torch.no_grad():
            logits = material.model.read(torch.tensor([[bos, *ids[:-1]]]))
        total += float(F.cross_entropy(logits[0], torch.tensor(ids), reduction="sum"))
    return total / sum(map(len, material.sequences))


def test_a_bundle_says_how_it_goes_on(exported: Exported) -> None:
    folder, manifest, material = exported
    assert load_manifest(folder) == manifest
    assert (manifest.task, manifest.limits.of("target")) == ("generate", LONGEST)
    assert manifest.preprocessing.model_dump() == {"kind": "prompt", "tokenizer": "tokenizer.json", "notation": "abc"}
    assert manifest.special_ids.eos == material.codec.eos
    assert manifest.decoding_defaults.sampling == Sampling(temperature=0.5, top_p=0.75)
    assert manifest.decoding_defaults.max_length(3, manifest.limits) == LONGEST
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert r'"prompt": "M:6/8\nK:D\n"' in card
    assert f"from the {manifest.vocabulary_size} likeliest, at a temperature of 0.5, among" in card
    assert f"At most {LONGEST} tokens, those of the prompt among them." in card


def test_it_proves_itself_in_both_precisions(exported: Exported) -> None:
    measured = verify_bundle(exported[0])
    assert {each.precision for each in measured} == {"fp32", "int8"}
    assert all(each.max_error is not None and each.max_error <= each.tolerance for each in measured)


def test_it_is_judged_by_the_likelihood_of_what_was_written(exported: Exported) -> None:
    _, manifest, material = exported
    single, rounded = (variant.metrics for variant in manifest.variants)
    loss = loss_of(material)
    assert single["likelihood"] == pytest.approx(100 * math.exp(-loss), abs=0.006)
    assert single["bits_per_character"] == pytest.approx(loss / math.log(2), abs=0.006)
    assert rounded["bits_per_character"] == pytest.approx(loss / math.log(2), abs=0.1)


def test_the_engine_goes_on_alike_alone_and_in_company(exported: Exported) -> None:
    folder, _, material = exported
    rows = material.random_rows((1, 2, 20, 1, 9), seed=6)
    with decoding(material, folder, "int8") as decode:
        together = [hypothesis.token_ids for hypothesis in decode(rows)]
        alone = [decode([row])[0].token_ids for row in rows]
    assert together == alone


def test_a_loss_is_that_of_whole_sequences_however_they_are_batched() -> None:
    material = make_writing_material("recurrent_generator")
    runners = {kind: torch_runner(material.model, kind) for kind in ("encode", "step")}  # type: ignore[arg-type]
    assert mean_loss(material, runners) == pytest.approx(loss_of(material), abs=1e-5)


def test_text_has_no_end_and_is_written_to_the_limit() -> None:
    material = make_writing_material("transformer_decoder", "text")
    assert material.special.eos is None
    rows = material.random_rows((1, 3, 1000), seed=1)
    assert [int(row[START]) for row in rows] == [0, 2, LONGEST // 2]
    assert [material.max_length(row) for row in rows] == [LONGEST, LONGEST - 2, LONGEST // 2]


def test_an_engine_that_forgets_the_prompt_is_found_out() -> None:
    material = make_writing_material("recurrent_generator")
    (row,) = material.random_rows((9,), seed=2)
    with torch.no_grad():
        unprompted = material.model.read(torch.tensor([[material.first_token(row)]]))[0, 0]
    token = int(unprompted.argmin())
    answer = Hypothesis([token], score=0.0, log_probability=0.0, finished=False)
    judged = replace(material)
    object.__setattr__(judged, "rows", [row])
    with pytest.raises(RuntimeMismatchError, match=f"chose token {token} at position 0"):
        judged.verify_engine([answer], tolerance=1e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"temperature": 0.0}, "temperature"), ({"top_p": 1.5}, "top_p"), ({"top_k": 0}, "top_k")],
)
def test_ways_to_draw_that_are_none_are_refused(given: dict[str, Any], message: str) -> None:
    material = make_writing_material("recurrent_generator")
    assert _with_sampling(material, temperature=None) is material
    drawn = _with_sampling(material, temperature=0.6, top_p=None)
    assert drawn.decoding is not None
    assert drawn.decoding.sampling == Sampling(temperature=0.6)
    with pytest.raises(ExportError, match=message):
        _with_sampling(material, **given)


def test_a_model_that_searches_does_not_draw() -> None:
    with pytest.raises(ExportError, match="'translate' draws nothing: leave out --temperature"):
        _with_sampling(make_material(), temperature=0.5)


def test_an_architecture_that_reads_a_source_writes_no_tunes(tmp_path: Path) -> None:
    config = SimpleNamespace(architecture_name="recurrent_seq2seq")
    codec = SimpleNamespace(codec=None)
    run: Any = SimpleNamespace(
        path=tmp_path, config=config, vocabulary=codec, model=make_model("recurrent_seq2seq"), root=tmp_path
    )
    with pytest.raises(ExportError, match="'recurrent_seq2seq' does not go on from prompts"):
        character_material(run)
