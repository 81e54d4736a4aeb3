"""A bundle's model in PyTorch again, by nothing but the bundle: the same numbers and the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from contract.items import Catalogue
from contract.manifest import Manifest, load_manifest
from contract.versions import latest_version
from loadtest.bench.recover import RecoverError, check_golden, recover_model
from loadtest.bench.rivals.options import open_model, parse_options
from loadtest.pictures import make_photograph

BUNDLES = Path(__file__).resolve().parents[1] / "data" / "bundles" / "v1"
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"


def in_int8(bundle: Path) -> tuple[Path, Manifest]:
    """A bundle as if it held nothing else."""
    folder = latest_version(bundle)
    manifest = load_manifest(folder)
    variants = tuple(variant for variant in manifest.variants if variant.precision == "int8")
    return folder, manifest.model_copy(update={"variants": variants})


@pytest.mark.parametrize(
    "bundle",
    [
        BUNDLES / "tiny-classify",
        BUNDLES / "tiny-captions",
        BUNDLES / "tiny-en-de-gru",
        ARTIFACTS / "next-item",
    ],
    ids=lambda bundle: bundle.name,
)
def test_weights_come_back_from_int8_and_give_the_golden_numbers(bundle: Path) -> None:
    folder, manifest = in_int8(bundle)
    check_golden(recover_model(folder, manifest), folder, manifest)


def test_a_weight_in_a_wrong_place_is_found() -> None:
    folder, manifest = in_int8(BUNDLES / "tiny-classify")
    model = recover_model(folder, manifest)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight_hh_l0"):
                parameter.copy_(parameter.flip(0))
            if name == "output.weight":
                parameter.neg_()
    with pytest.raises(RecoverError, match=r"predict gives scores wrong by \d+% of its size"):
        check_golden(model, folder, manifest)


def test_a_bundle_of_an_earlier_architecture_is_refused() -> None:
    folder = latest_version(BUNDLES / "tiny-en-de")
    with pytest.raises(RecoverError, match="exported from an earlier transformer, which had other tensors"):
        recover_model(folder, load_manifest(folder))


@pytest.mark.parametrize("name", ["tiny-classify", "tiny-items", "tiny-captions", "tiny-en-de-gru"])
def test_pytorch_answers_what_the_graphs_answer(name: str) -> None:
    bundle = latest_version(BUNDLES / name)
    asked: list[Any] = ["A small cat runs at home.", "A happy woman sings.", "A red cat sleeps in the park, and sings."]
    if name == "tiny-items":
        ids = Catalogue.load(bundle / "catalogue.json").ids
        asked = [list(ids[:3]), list(ids[4:5]), list(ids[7:9])]
    if name == "tiny-captions":
        asked = [make_photograph(seed, 64, 48) for seed in range(3)]
    replies = []
    for engine in ("onnx", "torch"):
        model = open_model(parse_options(None, [str(bundle), "--engine", engine]))
        replies.append([model.write(output) for output in model.run([model.read(each) for each in asked])])
    assert [_said(reply) for reply in replies[0]] == [_said(reply) for reply in replies[1]]


def _said(reply: dict[str, Any]) -> str:
    ((result,),) = reply.values()
    return str(result.get("text", result.get("label")) or result.get("items", [{}])[0].get("item"))
