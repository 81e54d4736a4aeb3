"""The bundles that ship: sound, proven, within their size, and able to do what the README shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contract.manifest import Precision
from service.runtime.bundle import open_bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.requests import GenerateRequest, Search
from service.runtime.verify import verify_bundle

ARTIFACTS = Path(__file__).parents[3] / "artifacts"
SHIPPED = ("translation-en-de", "translation-en-de-gru")


def test_what_ships_is_what_is_tested() -> None:
    assert sorted(path.name for path in ARTIFACTS.iterdir()) == sorted(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_bundle_proves_itself(name: str) -> None:
    measured = verify_bundle(ARTIFACTS / name)
    run = [m for m in measured if m.max_error is not None]
    assert {m.precision for m in run} >= {"int8"}
    assert all(m.max_error <= m.tolerance for m in run if m.max_error is not None)


@pytest.mark.parametrize(("precision", "limit"), [("int8", 8e6), ("fp16", 16e6)])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_precision_is_small(name: str, precision: Precision, limit: float) -> None:
    bundle = open_bundle(ARTIFACTS / name, precision=precision, provider="cpu")
    files = [path for path in (bundle.folder / precision).iterdir() if path.is_file()]
    assert 1e6 < sum(path.stat().st_size for path in files) <= limit


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_bundle_translates(name: str, precision: Precision) -> None:
    """fp16 is meant for CUDA; here it shows that the slots take the types of the graphs."""
    bundle = open_bundle(ARTIFACTS / name, precision=precision, provider="cpu")
    engine = DecodingEngine(bundle)
    engine.start()
    ids = bundle.source.source("A man is riding a bicycle.").ids
    inputs = {"source_ids": np.array(ids), "source_lengths": np.asarray(len(ids))}
    found = engine.submit(GenerateRequest(inputs, Search(beam_size=4))).future.result(60)
    engine.close()
    text = bundle.target.decode(found.hypotheses[0].token_ids)
    assert text in (
        "Ein Mann fährt Fahrrad.",
        "Ein Mann fährt ein Fahrrad.",
        "Ein Mann fährt auf einem Fahrrad.",
        "Ein Mann fährt mit dem Fahrrad.",
    )
