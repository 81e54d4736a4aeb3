from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from export.errors import OptimiseError
from export.passes.bias import correct_biases
from export.passes.convolution import average_exactly, convolved, quantise_convolutions
from export.passes.integer import quantise_products, rounded_values, store_small
from export.passes.rounding import Range, quantise_filters
from tests.export.test_passes import normal, operators, parse, run

SIDE = 12
RANGES: dict[str, Range] = {
    "x": (-2.0, 2.0),
    "stem": (0.0, 6.0),
    "filtered": (0.0, 6.0),
    "narrow": (-8.0, 8.0),
    "total": (-8.0, 14.0),
    "regions": (-8.0, 8.0),
}


def bottleneck() -> ir.Model:
    """Pixels through three convolutions and a residual sum, and what two readers make of the feature map."""
    return parse(
        """(uint8[n,3,12,12] pixels) => (float[n,36,16] projected, float[n,8] mean) {
            numbers = Cast <to = 1> (pixels)
            centred = Sub(numbers, centre)
            x = Div(centred, spread)
            first = Conv <strides = [2, 2], pads = [0, 0, 1, 1]> (x, w1, b1)
            stem = Clip(first, low, high)
            second = Conv <group = 8, pads = [1, 1, 1, 1]> (stem, w2, b2)
            filtered = Relu(second)
            narrow = Conv(filtered, w3)
            total = Add(narrow, stem)
            flat = Reshape(total, shape)
            regions = Transpose <perm = [0, 2, 1]> (flat)
            projected = MatMul(regions, w4)
            mean = ReduceMean <keepdims = 0> (flat, last)
        }""",
        centre=np.array(127, np.float32),
        spread=np.array(64, np.float32),
        low=np.array(0, np.float32),
        high=np.array(6, np.float32),
        w1=normal(8, 3, 3, 3, scale=0.5),
        b1=normal(8),
        w2=normal(8, 1, 3, 3, scale=0.5),
        b2=normal(8),
        w3=normal(8, 8, 1, 1, scale=0.4),
        w4=normal(8, 16),
        shape=np.array([-1, 8, 36]),
        last=np.array([2]),
    )


def pictures(count: int) -> dict[str, NDArray[np.uint8]]:
    return {"pixels": np.random.default_rng(2).integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)}


def test_a_chain_of_convolutions_hands_on_bytes(tmp_path: Path) -> None:
    model = bottleneck()
    expected = run(model, tmp_path, pictures(9))
    quantise_convolutions(model, RANGES)
    assert operators(model) == {
        "QLinearConv": 3,
        "QLinearAdd": 1,
        "DequantizeLinear": 1,
        "Reshape": 1,
        "Transpose": 1,
        "MatMul": 1,
        "ReduceMean": 1,
    }
    actual = run(model, tmp_path, pictures(9))
    for name, array in expected.items():
        noise = np.square(actual[name] - array).mean() / np.square(array).mean()
        assert 0 < noise < 0.01, name


def test_pixels_are_read_exactly() -> None:
    model = bottleneck()
    quantise_convolutions(model, RANGES)
    first = next(node for node in model.graph if node.op_type == "QLinearConv")
    pixels, scale, zero_point = first.inputs[:3]
    assert pixels.name == "pixels"
    assert (scale.const_value.numpy(), zero_point.const_value.numpy()) == (1 / 64, 127)


def test_what_no_byte_stands_for_is_rounded_like_any_value() -> None:
    model = bottleneck()
    model.graph.initializers["centre"].const_value = ir.Tensor(np.array(127.5, np.float32))
    quantise_convolutions(model, RANGES)
    assert operators(model)["QuantizeLinear"] == 1
    assert operators(model)["Cast"] == 1


@pytest.mark.parametrize(("low", "high", "absorbed"), [(0.0, 6.0, True), (-1.0, 1.0, True), (0.5, 6.0, False)])
def test_bounds_with_zero_between_them_are_part_of_the_range(low: float, high: float, absorbed: bool) -> None:
    model = bottleneck()
    for name, value in (("low", low), ("high", high)):
        model.graph.initializers[name].const_value = ir.Tensor(np.array(value, np.float32))
    assert ("first" in {value.name for value in convolved(model.graph)}) != absorbed
    quantise_convolutions(model, RANGES | {"first": (-6.0, 6.0)})
    assert operators(model)["Clip"] == (0 if absorbed else 1)


def test_what_is_rounded_is_what_calibration_is_told_of() -> None:
    model = bottleneck()
    assert {value.name for value in convolved(model.graph)} == {"x", "stem", "filtered", "narrow", "total"}
    assert {value.name for value in rounded_values(model.graph)} == set(RANGES) - {"regions"}
    with pytest.raises(OptimiseError, match="'filtered' is to be rounded and was not calibrated"):
        quantise_convolutions(model, {name: bounds for name, bounds in RANGES.items() if name != "filtered"})


def test_a_picture_beside_others_gives_the_same_numbers(tmp_path: Path) -> None:
    model = bottleneck()
    quantise_convolutions(model, RANGES)
    feed = pictures(7)
    together = run(model, tmp_path, feed)
    for row in range(7):
        alone = run(model, tmp_path, {"pixels": feed["pixels"][row : row + 1]})
        for name, array in alone.items():
            np.testing.assert_array_equal(array[0], together[name][row])


def test_means_of_bytes_are_taken_over_whole_numbers(tmp_path: Path) -> None:
    model = bottleneck()
    quantise_convolutions(model, RANGES)
    expected = run(model, tmp_path, pictures(5))["mean"]
    average_exactly(model)
    assert operators(model)["DequantizeLinear"] == 2
    mean = next(node for node in model.graph if node.op_type == "ReduceMean")
    whole = mean.inputs[0].producer()
    assert [value.const_value.numpy() for value in whole.inputs[1:]] == [1, 93]  # of 22 / 255 a level from -8 on
    np.testing.assert_allclose(run(model, tmp_path, pictures(5))["mean"], expected, atol=1e-5)


def test_products_read_the_bytes_that_convolutions_made(tmp_path: Path) -> None:
    model = parse(
        """(float[n,16,4,4] x) => (float[n,16,32] y) {
            map = Conv(x, w1)
            flat = Reshape(map, shape)
            regions = Transpose <perm = [0, 2, 1]> (flat)
            y = MatMul(regions, w2)
        }""",
        w1=normal(16, 16, 1, 1, scale=0.25),
        w2=normal(16, 32, scale=0.25),
        shape=np.array([-1, 16, 16]),
    )
    x = normal(5, 16, 4, 4)
    expected = run(model, tmp_path, {"x": x})["y"]
    quantise_convolutions(model, {"x": (-4.0, 4.0), "map": (-4.0, 4.0)})
    quantise_products(model, {})
    assert operators(model)["QuantizeLinear"] == 1
    assert operators(model)["DequantizeLinear"] == 0
    assert np.abs(run(model, tmp_path, {"x": x})["y"] - expected).max() < 0.2


def test_a_graph_that_is_not_calibrated_shares_the_rounded_filters() -> None:
    held, weight = [], normal(64, 3, 3, 3)
    for rounding in (lambda model: quantise_convolutions(model, {"x": (-4.0, 4.0), "y": (-4.0, 4.0)}), store_small):
        model = parse("(float[n,3,8,8] x) => (float[n,64,6,6] y) { y = Conv(x, weight) }", weight=weight)
        rounding(model)
        held.append(model.graph.initializers["weight.int8"].const_value.numpy())
    np.testing.assert_array_equal(*held)


@pytest.mark.parametrize(("shape", "groups"), [((6, 4, 1, 1), 1), ((6, 1, 3, 3), 6), ((6, 2, 2, 2), 3)])
def test_biases_make_up_for_the_mean_error_of_rounded_filters(
    shape: tuple[int, ...], groups: int, tmp_path: Path
) -> None:
    weight = normal(*shape)
    weight[:, 0, 0, 0] = 40  # so that the others are rounded coarsely
    text = f"(float[n,c,5,5] x) => (float[n,6,h,w] y) {{ y = Conv <group = {groups}> (x, weight) }}"
    # One value a channel: its mean is what every place has.
    x = np.broadcast_to(normal(3, shape[1] * groups, 1, 1), (3, shape[1] * groups, 5, 5))
    expected = run(parse(text, weight=weight), tmp_path, {"x": x})["y"]
    values, scales = quantise_filters(weight)
    for row in range(3):
        model = parse(text, weight=weight)
        correct_biases(model, {"x": x[row].mean(axis=(1, 2))})
        model.graph.initializers["weight"].const_value = ir.Tensor(values * scales)
        np.testing.assert_allclose(run(model, tmp_path, {"x": x[row : row + 1]})["y"][0], expected[row], atol=1e-4)
    rough = run(parse(text, weight=values * scales), tmp_path, {"x": x})["y"]
    assert np.abs(rough - expected).max() > 0.05


FILTERS = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    elements=st.floats(-4, 4, width=32),
)


@settings(max_examples=60)
@given(FILTERS)
def test_each_filter_has_its_scale_and_never_overflows_sixteen_bits(weight: NDArray[np.float32]) -> None:
    values, scales = quantise_filters(weight)
    assert scales.shape == (len(weight), 1, 1, 1)
    assert (np.abs(values * scales.astype(np.float64) - weight) <= scales * 0.5001).all()
    if weight.shape[1] > 1:
        flat = np.abs(values.astype(np.int64)).transpose(0, 2, 3, 1).reshape(len(weight), -1)
        pairs = flat[:, : flat.shape[1] // 2 * 2].reshape(len(weight), -1, 2).sum(axis=-1)
        assert 255 * pairs.max(initial=0) <= np.iinfo(np.int16).max


def test_a_dead_filter_does_not_blow_up_its_bias(tmp_path: Path) -> None:
    weight = normal(3, 4, 1, 1)
    weight[1] *= 1e-12
    bias = np.array([0.5, 1.5, -0.5], np.float32)
    model = parse("(float[n,4,2,2] x) => (float[n,3,2,2] y) { y = Conv(x, weight, bias) }", weight=weight, bias=bias)
    x = normal(2, 4, 2, 2)
    expected = run(model, tmp_path, {"x": x})["y"]
    quantise_convolutions(model, {"x": (-4.0, 4.0), "y": (-8.0, 8.0)})
    actual = run(model, tmp_path, {"x": x})["y"]
    np.testing.assert_allclose(actual[:, 1], 1.5, atol=0.04)
    assert np.abs(actual - expected).max() < 0.2
