from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from export.calibrate import best_range
from export.optimise import Graphs
from export.passes.integer import quantised_linears
from export.text import TextMaterial


def loss(values: NDArray[np.float32], low: float, high: float) -> float:
    scale = max((high - low) / 255, 1e-30)
    return float(np.square(np.clip(np.round(values / scale) * scale, low, high) - values).mean())


VALUES = arrays(np.float32, st.integers(2, 200), elements=st.floats(-100, 100, width=32))


@settings(max_examples=40, deadline=None)
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
