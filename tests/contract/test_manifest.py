"""What a bundle's folder may and may not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract.manifest import (
    MANIFEST,
    MANIFEST_HASH,
    BundleError,
    DecodingDefaults,
    Graph,
    Licence,
    Limits,
    Manifest,
    SpecialIds,
    Variant,
    hash_file,
    load_manifest,
    save_manifest,
)
from contract.preprocessing import TextPreprocessing
from contract.signature import GenerateSignature, State, Tensor

SIGNATURE = GenerateSignature(
    inputs=(
        Tensor(name="source_ids", dtype="int64", axes=("rows", "source")),
        Tensor(name="source_lengths", dtype="int64", axes=("rows",)),
    ),
    states=(State(name="hidden", dtype="float32", axes=("rows", 4), initial="start"),),
)
FILES = ("fp32/encode.onnx", "fp32/step.onnx", "golden.fp32.npz", "tokenizer.json", "MODEL_CARD.md")


def make_manifest(folder: Path, **changes: Any) -> Manifest:
    graphs = tuple(
        Graph(kind=kind, file=f"fp32/{kind}.onnx", inputs=SIGNATURE.graph(kind)[0], outputs=SIGNATURE.graph(kind)[1])
        for kind in SIGNATURE.graph_kinds()
    )
    variant = Variant(
        precision="fp32", provider="any", status="verified", graphs=graphs, golden="golden.fp32.npz", tolerance=1e-4
    )
    fields: dict[str, Any] = {
        "schema_version": 1,
        "name": "toy",
        "version": "1",
        "task": "translate",
        "architecture": "recurrent_seq2seq",
        "parameters": 10,
        "created": "2026-01-01T00:00:00Z",
        "opset": 24,
        "signature": SIGNATURE,
        "variants": (variant,),
        "vocabulary_size": 12,
        "special": SpecialIds(pad=0, unk=1, bos=2, eos=3),
        "decoding": DecodingDefaults(),
        "limits": Limits(source=16, target=16),
        "preprocessing": TextPreprocessing(source_tokenizer="tokenizer.json", target_tokenizer="tokenizer.json"),
        "licence": Licence(data="toy", source="made up", terms="none"),
        "files": {name: hash_file(folder / name) for name in FILES},
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "toy" / "1"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"content of {name}".encode())
    save_manifest(make_manifest(folder), folder)
    return folder


def rewrite(folder: Path, **changes: Any) -> None:
    """Change fields of the manifest as a careful forger would: with a fitting hash."""
    content = json.loads((folder / MANIFEST).read_text())
    for name, value in changes.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    (folder / MANIFEST).write_text(json.dumps(content))
    (folder / MANIFEST_HASH).write_text(hash_file(folder / MANIFEST).sha256 + "\n")


def test_a_saved_manifest_loads_unchanged(bundle: Path) -> None:
    assert load_manifest(bundle) == make_manifest(bundle)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, MANIFEST_HASH])
@pytest.mark.parametrize("position", [0, -1])
def test_one_flipped_byte_is_found_and_named(bundle: Path, name: str, position: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[position] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        load_manifest(bundle)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, MANIFEST_HASH])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_manifest(bundle)


def test_an_unlisted_file_is_refused(bundle: Path) -> None:
    (bundle / "extra.py").write_text("print('hello')")
    with pytest.raises(BundleError, match=r"extra\.py is not listed"):
        load_manifest(bundle)


def test_every_fault_is_listed_in_one_message(bundle: Path) -> None:
    (bundle / "fp32/step.onnx").write_bytes(b"other")
    (bundle / "tokenizer.json").unlink()
    (bundle / "stray").write_bytes(b"")
    with pytest.raises(BundleError) as caught:
        load_manifest(bundle)
    assert len(caught.value.faults) == 3
    for name in ("fp32/step.onnx was altered", "tokenizer.json is missing", "stray is not listed"):
        assert name in str(caught.value)


def test_unknown_and_missing_fields_are_refused_together(bundle: Path) -> None:
    rewrite(bundle, licence=None, colour="blue")
    with pytest.raises(BundleError) as caught:
        load_manifest(bundle)
    assert "licence: Field required" in str(caught.value)
    assert "colour: Extra inputs are not permitted" in str(caught.value)


def test_a_newer_schema_asks_for_an_update(bundle: Path) -> None:
    rewrite(bundle, schema_version=2, something_new=True)
    with pytest.raises(BundleError, match=r"schema version 2 is newer than 1.*update seqserve"):
        load_manifest(bundle)


def test_a_file_outside_the_bundle_is_refused(bundle: Path) -> None:
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    rewrite(bundle, files={**files, "../secret": files["tokenizer.json"]})
    with pytest.raises(BundleError, match="leaves the bundle"):
        load_manifest(bundle)


def test_graphs_must_be_those_of_the_signature(bundle: Path) -> None:
    variants = json.loads((bundle / MANIFEST).read_text())["variants"]
    variants[0]["graphs"][1]["outputs"][0]["name"] = "tokens"
    rewrite(bundle, variants=variants)
    with pytest.raises(BundleError, match="precision fp32, graph step: outputs differ from the signature"):
        load_manifest(bundle)


def test_a_task_that_does_not_fit_is_refused(bundle: Path) -> None:
    with pytest.raises(ValueError, match="feeds"):
        make_manifest(bundle, signature=GenerateSignature(inputs=SIGNATURE.inputs[:1], states=SIGNATURE.states))


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        load_manifest(tmp_path / "nowhere")
