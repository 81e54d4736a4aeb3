from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from contract.rows import pad_rows
from export.calibrate import Watched, best_range
from export.optimise import Graphs, simplify
from export.passes.convolution import convolutions
from export.passes.integer import quantised_linears
from export.text import TextMaterial
from export.trace import trace
from export.verify.graphs import open_graph
from tests.export.captioners import make_caption_material


def loss(values: NDArray[np.float32], low: float, high: float) -> float:
    scale = max((high - low) / 255, 1e-30)
    return float(np.square(np.clip(np.round(values / scale) * scale, low, high) - values).mean())


VALUES = arrays(np.float32, st.integers(2, 200), elements=st.floats(-100, 100, width=32))


@settings(max_examples=40)
@given(VALUES)
def test_a_range_holds_zero_and_lies_within_the_extremes(values: NDArray[np.float32]) -> None:
    low, high = best_range(values)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)


def test_a_lone_outlier_is_cut_off_where_that_loses_least() -> None:
    values = np.append(np.random.default_rng(0).normal(size=300_000), 20.0)
    low, high = best_range(values)
    assert high < 16
    assert loss(values, low, high) < 0.8 * loss(values, values.min(), 20.0)


def test_even_values_keep_their_extremes() -> None:
    low, high = best_range(np.random.default_rng(0).uniform(-3, 5, 10_000))
    assert -3.0 <= low < -2.9
    assert 4.9 < high <= 5.0


def test_every_product_of_the_hot_graphs_gets_the_range_of_its_input(
    simplified: Callable[[str], tuple[TextMaterial, Graphs]],
) -> None:
    material, graphs = simplified("recurrent_seq2seq")
    _, ranges = material.calibrate(graphs)
    assert set(ranges) == {"encode", "step"}
    for kind, found in ranges.items():
        assert set(found) == {linear.x.name for linear in quantised_linears(graphs[kind].graph)}
    assert len(ranges["step"]) == 4
    # The decoder's hidden state, an input of the step graph, is the tanh of something.
    low, high = ranges["step"]["layer.0.hidden"]
    assert -1 <= low < 0 < high <= 1


def test_channels_of_what_convolutions_read_are_averaged_over_rows() -> None:
    material = make_caption_material("none")
    case = material.cases((4, 7, 2), seed=2)["encode"]
    example = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    graph = simplify({"encode": trace(material.model, "encode", example)})["encode"]
    watched, rows = Watched(graph, open_graph), material.random_rows((1,) * 5, seed=3)
    for row in rows:
        watched(pad_rows(material.model.signature.inputs, [row]))
    stem = next(convolutions(graph.graph))
    pixels = np.stack([row["pixels"] for row in rows])
    np.testing.assert_allclose(
        watched.means()[str(stem.x.name)], (pixels.mean(axis=(0, 1, 2)) - 127) / 128, rtol=1e-4, atol=1e-6
    )
    assert len(watched.means()) == len({each.x for each in convolutions(graph.graph)}) == 10


def test_convolutions_over_time_are_products_of_windows_and_rounded_as_such(
    simplified: Callable[[str], tuple[TextMaterial, Graphs]],
) -> None:
    """Two layers each; a decoder layer has a product for its window, its query and its context."""
    material, graphs = simplified("conv_seq2seq")
    _, ranges = material.calibrate(graphs)
    assert {kind: len(found) for kind, found in ranges.items()} == {"encode": 1 + 2 + 1, "step": 1 + 3 * 2 + 2}
    shapes = [linear.matrix().shape for linear in quantised_linears(graphs["step"].graph)]
    assert shapes.count((3 * 32, 2 * 32)) == 2


def test_of_so_many_steps_one_is_looked_at(simplified: Callable[[str], tuple[TextMaterial, Graphs]]) -> None:
    material, graphs = simplified("recurrent_seq2seq")
    step = material.cases((3,), seed=4)["step"].inputs
    watched = Watched(graphs["step"], open_graph, every=3)
    for call in range(1, 6):
        watched(step | {"layer.0.hidden": np.full_like(step["layer.0.hidden"], call)})
    low, high = watched.ranges()["layer.0.hidden"]
    assert (low, high) == (0, pytest.approx(3, abs=0.05))
