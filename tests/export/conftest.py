from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.manifest import Manifest
from export.cases import generate_cases
from export.optimise import Graphs, simplify
from export.pipeline import Options, export_bundle
from export.text import TextMaterial
from export.trace import trace
from tests.export.toys import VOCABULARY, make_material


@cache
def _simplified(architecture: str) -> tuple[TextMaterial, Graphs]:
    material = make_material(architecture)
    cases = generate_cases(
        material.model, material.random_rows((4, 6, 2), 1), material.random_targets(3, 5, 1), VOCABULARY
    )
    graphs = {}
    for kind, case in cases.items():
        example = {name: torch.from_numpy(np.asarray(array)) for name, array in case.inputs.items()}
        graphs[kind] = trace(material.model, kind, example)
    return material, simplify(graphs)


@pytest.fixture
def simplified() -> Callable[[str], tuple[TextMaterial, Graphs]]:
    """TextMaterial and fp32 graphs of a toy of that architecture; traced once, the graphs cloned for each test."""

    def make(architecture: str) -> tuple[TextMaterial, Graphs]:
        material, graphs = _simplified(architecture)
        return material, {kind: graph.clone() for kind, graph in graphs.items()}

    return make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, TextMaterial]:
    """A toy with attention, exported whole, in every precision. Read it, never write to it."""
    material = make_material("attention_seq2seq")
    folder = tmp_path_factory.mktemp("artifacts") / "toy" / "1"
    manifest = export_bundle(material, folder, Options(ship=("fp32", "int8", "fp16")), lambda stage: None)
    return folder, manifest, material
