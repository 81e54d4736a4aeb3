from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract.manifest import BundleError, Manifest, hash_file, load_manifest, save_manifest
from contract.signature import GraphKind
from export import pipeline
from export.errors import ExportError, MetricError, ToleranceError
from export.optimise import Graphs
from export.pipeline import Options, export_bundle
from export.text import TextMaterial
from export.verify.generate import decoding
from service.runtime.verify import VerificationError, verify_bundle

Exported = tuple[Path, Manifest, TextMaterial]
Simplified = Callable[[str], tuple[TextMaterial, Graphs]]


@pytest.fixture
def quick(simplified: Simplified, monkeypatch: pytest.MonkeyPatch) -> TextMaterial:
    """TextMaterial whose graphs are not traced anew."""
    material, graphs = simplified("recurrent_seq2seq")
    monkeypatch.setattr(pipeline._Job, "trace", lambda job: graphs)
    return material


def export(material: TextMaterial, target: Path, options: Options) -> Manifest:
    return export_bundle(material, target, options, lambda stage: None)


def copied(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported[0], tmp_path / "toy" / "1"))


def test_a_bundle_says_what_it_holds(bundle: Exported) -> None:
    folder, manifest, material = bundle
    assert load_manifest(folder) == manifest
    assert (manifest.name, manifest.version, manifest.architecture) == ("toy", "1", "attention_seq2seq")
    assert [(v.precision, v.provider, v.status) for v in manifest.variants] == [
        ("fp32", "any", "verified"),
        ("int8", "cpu", "verified"),
        ("fp16", "cuda", "unproven"),
    ]
    single, integer, half = manifest.variants
    assert 0 < single.max_error < 1e-5
    assert 1e-5 < integer.max_error < 0.25
    assert half.max_error is None
    assert set(single.metrics) == set(integer.metrics) == {"bleu_lower_cased"}
    assert half.metrics == {}
    assert [(s.precision, s.split, s.data) for s in manifest.scores] == [
        ("fp32", "validation", "toy words"),
        ("int8", "validation", "toy words"),
    ]
    assert manifest.parameters == sum(p.numel() for p in material.model.parameters())


def test_graphs_of_a_precision_share_one_weights_file(bundle: Exported) -> None:
    folder, manifest, _ = bundle
    kinds: tuple[GraphKind, ...] = ("encode", "step", "explain_step")
    for variant in manifest.variants:
        places = {}
        for kind in kinds:
            graph = onnx.load(folder / variant.graph(kind).file, load_external_data=False).graph
            outside = [t for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
            entries = [{entry.key: entry.value for entry in tensor.external_data} for tensor in outside]
            assert {entry["location"] for entry in entries} == {"weights.bin"}
            places[kind] = {entry["offset"] for entry in entries}
        assert places["explain_step"] == places["step"] or variant.precision == "int8"
        assert len(places["explain_step"] & places["step"]) >= 5
    sizes = {name: manifest.files[f"{name}/weights.bin"].bytes for name in ("fp32", "fp16", "int8")}
    assert sizes["fp16"] < 0.6 * sizes["fp32"]
    assert sizes["int8"] < 0.45 * sizes["fp32"]


def test_the_integer_step_has_no_float_product_of_weights(bundle: Exported) -> None:
    graph = onnx.load(bundle[0] / "int8" / "step.onnx", load_external_data=False).graph
    operators = [node.op_type for node in graph.node]
    weights = {tensor.name for tensor in graph.initializer}
    assert operators.count("MatMulIntegerToFloat") == 5
    floats = [node for node in graph.node if node.op_type in ("MatMul", "Gemm") and weights & set(node.input)]
    assert [tuple(tensor.dims) for node in floats for tensor in graph.initializer if tensor.name in node.input] == [
        (16, 1)
    ]


def test_no_file_names_the_machine_that_exported(bundle: Exported) -> None:
    here = str(Path(__file__).resolve().parents[2]).encode()
    for path in bundle[0].rglob("*"):
        assert path.is_dir() or here not in path.read_bytes(), path


def test_the_card_states_scores_terms_and_limits(bundle: Exported) -> None:
    card = (bundle[0] / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# toy 1\n\nA toy.\n")
    for words in (
        "| BLEU, lower-cased |",
        "Terms: none.",
        "At most 20 tokens, 24 tokens of output.",
        "| fp16 | cuda | unproven |",
        "curl",
    ):
        assert words in card


def test_any_machine_can_repeat_the_proof(bundle: Exported) -> None:
    folder, manifest, _ = bundle
    measured = verify_bundle(folder.parent)
    outputs = {(m.precision, m.graph, m.output): m.max_error for m in measured}
    for variant in manifest.variants:
        for graph in variant.graphs:
            for tensor in graph.outputs:
                if tensor.name == "candidates" and variant.precision != "fp16":
                    continue
                error = outputs.pop((variant.precision, graph.kind, tensor.name))
                assert (error is None) == (variant.precision == "fp16")
    assert outputs == {}
    assert all("CUDA" in m.note for m in measured if m.max_error is None)


@pytest.mark.parametrize("name", ["int8/weights.bin", "fp32/step.onnx", "golden.int8.npz", "manifest.json"])
def test_one_flipped_byte_is_found_and_named(bundle: Exported, tmp_path: Path, name: str) -> None:
    folder = copied(bundle, tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        verify_bundle(folder)


def test_numbers_that_do_not_come_out_are_found_even_under_right_hashes(bundle: Exported, tmp_path: Path) -> None:
    folder = copied(bundle, tmp_path)
    name = bundle[1].variant("fp32").golden
    golden = dict(np.load(io.BytesIO((folder / name).read_bytes()), allow_pickle=False))
    golden["step.out.scores"] += np.float32(0.01)
    np.savez_compressed(folder / name, **golden)
    manifest = bundle[1]
    save_manifest(manifest.model_copy(update={"files": {**manifest.files, name: hash_file(folder / name)}}), folder)
    with pytest.raises(VerificationError, match=r"fp32/step: scores differs by 0\.01, allowed is 0\.0001"):
        verify_bundle(folder)


def test_the_engine_gives_a_row_the_same_text_alone_and_in_company(bundle: Exported) -> None:
    folder, _, material = bundle
    rows = material.random_rows((4, 9, 1, 6, 2, 8, 3), seed=6)
    with decoding(material, folder, "int8") as decode:
        together = [hypothesis.token_ids for hypothesis in decode(rows)]
        alone = [decode([row])[0].token_ids for row in rows]
    assert together == alone


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (Options(precisions=("fp32",), ship=("fp32",), tolerance=1e-9), ToleranceError),
        (Options(precisions=("fp32", "int8"), ship=("int8",), metric_drop=-0.1), MetricError),
    ],
)
def test_nothing_is_left_of_an_export_that_fails(
    quick: TextMaterial, tmp_path: Path, options: Options, error: type[Exception]
) -> None:
    with pytest.raises(error):
        export(quick, tmp_path / "artifacts" / "toy" / "1", options)
    assert list(tmp_path.iterdir()) == []


def test_only_what_ships_is_in_the_bundle(quick: TextMaterial, tmp_path: Path) -> None:
    target = tmp_path / "artifacts" / "toy" / "2"
    manifest = export(quick, target, Options(precisions=("fp32", "int8"), ship=("int8",)))
    assert [variant.precision for variant in manifest.variants] == ["int8"]
    assert sorted(path.name for path in target.iterdir()) == [
        "MODEL_CARD.md",
        "golden.int8.npz",
        "int8",
        "manifest.json",
        "manifest.sha256",
        "tokenizer.json",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]
    with pytest.raises(ExportError, match="versions are never overwritten"):
        export(quick, target, Options())


def test_what_is_not_made_cannot_ship() -> None:
    with pytest.raises(ExportError, match="fp16 cannot ship without being made"):
        Options(precisions=("fp32", "int8"), ship=("int8", "fp16"))
    with pytest.raises(ExportError, match="at least one precision"):
        Options(ship=())
