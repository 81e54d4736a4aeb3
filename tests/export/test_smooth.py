from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.calibrate import Watched, calibrate_pass
from export.drive import Runner
from export.optimise import Graphs, simplify, smooth, to_integer
from export.passes.smooth import find_divisors
from export.predict import PredictMaterial
from export.store import save_graphs
from export.trace import trace
from export.verify.graphs import open_graph
from tests.export.predictors import SIZE, make_predict_material

WIDE = 3
"""The channel of the toy's word vectors that is far wider than the others."""


@pytest.fixture(scope="module")
def lopsided() -> tuple[PredictMaterial, Graphs]:
    """A classifier with an outlier, and its fp32 graphs."""
    material = make_predict_material("text")
    with torch.no_grad():
        material.model.table.weight[:, WIDE] *= 30
        material.model.hidden.weight[:, WIDE] /= 30
    graphs = {}
    for kind, case in material.cases((4, 7, 2), seed=2).items():
        graphs[kind] = trace(material.model, kind, {name: torch.from_numpy(x) for name, x in case.inputs.items()})
    return material, simplify(graphs)


def seen(material: PredictMaterial, graphs: Graphs) -> Watched:
    return calibrate_pass(material.model.signature, graphs["predict"], material.judged, open_graph)


def runners(graphs: Graphs, folder: Path) -> dict[str, Runner]:
    folder.mkdir()
    return {kind: open_graph(path) for kind, path in save_graphs(graphs, folder).items()}


def test_only_channels_far_wider_than_the_median_are_divided(lopsided: tuple[PredictMaterial, Graphs]) -> None:
    material, graphs = lopsided
    peaks = seen(material, graphs).peaks()
    assert [array.shape for array in peaks.values()] == [(SIZE,)]
    (divisor,) = find_divisors(graphs["predict"].graph, peaks).values()
    (widths,) = peaks.values()
    assert divisor[WIDE] == divisor.max() > 5
    np.testing.assert_allclose((widths / divisor)[widths > 1.5 * np.median(widths)], 1.5 * np.median(widths), rtol=1e-5)
    assert (divisor[widths < 1.5 * np.median(widths)] == 1).all()


def test_without_outliers_nothing_is_divided(lopsided: tuple[PredictMaterial, Graphs]) -> None:
    material, graphs = lopsided
    even = {name: np.linspace(1, 2, SIZE) for name in seen(material, graphs).peaks()}
    assert find_divisors(graphs["predict"].graph, even) == {}


def test_smoothed_graphs_compute_the_same_and_round_better(
    lopsided: tuple[PredictMaterial, Graphs], tmp_path: Path
) -> None:
    material, graphs = lopsided
    smoothed = smooth(graphs, find_divisors(graphs["predict"].graph, seen(material, graphs).peaks()))
    cases = material.cases((5, 9, 3, 6), seed=9)
    alike = runners(smoothed, tmp_path / "smoothed")
    for kind, case in cases.items():
        for name, array in alike[kind](case.inputs).items():
            np.testing.assert_allclose(array, case.outputs[name], atol=1e-5)
    errors = []
    for name, held in (("rough", graphs), ("fine", smoothed)):
        feed = cases["predict"].inputs
        # Beside the same graphs with rounded weights alone: the table of words cannot be smoothed.
        weights = runners(to_integer(held, {}), tmp_path / f"{name} weights")["predict"](feed)["scores"]
        both = to_integer(held, {"predict": seen(material, held).ranges()})
        errors.append(np.abs(runners(both, tmp_path / name)["predict"](feed)["scores"] - weights).mean())
    assert errors[1] < 0.5 * errors[0]


def test_the_explaining_graph_shares_the_smoothed_weights(
    lopsided: tuple[PredictMaterial, Graphs], tmp_path: Path
) -> None:
    material, graphs = lopsided
    rounded, ranges = material.calibrate(graphs)
    save_graphs(to_integer(rounded, ranges), tmp_path)
    places = {}
    for kind in ("predict", "explain"):
        tensors = onnx.load(tmp_path / f"{kind}.onnx", load_external_data=False).graph.initializer
        outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL and list(t.dims) == [SIZE, SIZE]]
        places[kind] = [entry.value for t in outside for entry in t.external_data if entry.key == "offset"]
    assert places["predict"] == places["explain"]
    assert len(places["predict"]) == 1
