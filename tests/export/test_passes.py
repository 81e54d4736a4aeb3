from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from export.errors import OptimiseError
from export.passes.half import convert_to_half
from export.passes.integer import fold_embedding_scale, quantise_products, store_small
from export.passes.linear import linears, tie_transposes, unify_linears
from export.passes.rounding import quantise_weight
from export.passes.simplify import fold_constants, forget_origin, share_equal
from export.passes.values import add_constant
from export.verify.graphs import open_graph

Feed = Mapping[str, NDArray[Any]]
RANDOM = np.random.default_rng(5)


def parse(text: str, **weights: NDArray[Any]) -> ir.Model:
    """A model from ONNX's text form; `weights` become initialisers."""
    model = ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : 24]> graph {text}')
    for name, array in weights.items():
        value = add_constant(model.graph, name, array)
        for node in model.graph:
            for index, used in enumerate(node.inputs):
                if used is not None and used.name == name:
                    node.replace_input_with(index, value)
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model)))


def run(model: ir.Model, tmp_path: Path, feed: Feed) -> dict[str, NDArray[Any]]:
    path = tmp_path / "graph.onnx"
    ir.save(model, path)
    return dict(open_graph(path)(feed))


def operators(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def normal(*shape: int, scale: float = 1.0) -> NDArray[np.float32]:
    return RANDOM.normal(scale=scale, size=shape).astype(np.float32)


def test_gates_are_reordered_once_and_for_all(tmp_path: Path) -> None:
    weight = normal(6, 4)
    model = parse(
        """(float[n,4] x) => (float[n,6] y) {
            a, b, c = Split <axis = 0, num_outputs = 3> (weight)
            reordered = Concat <axis = 0> (b, a, c)
            turned = Transpose <perm = [1, 0]> (reordered)
            y = MatMul(x, turned)
        }""",
        weight=weight,
    )
    fold_constants(model)
    assert operators(model) == {"MatMul": 1}
    x = normal(3, 4)
    np.testing.assert_allclose(run(model, tmp_path, {"x": x})["y"], x @ weight[[2, 3, 0, 1, 4, 5]].T, atol=1e-6)


def test_affine_maps_take_one_form_and_a_tied_weight_stays_one(tmp_path: Path) -> None:
    table, weight, bias = normal(9, 4), normal(4, 4), normal(4)
    model = parse(
        """(int64[n] ids) => (float[n,9] y) {
            x = Gather(table, ids)
            hidden = Gemm <transB = 1> (x, weight, bias)
            y = Gemm <transB = 1> (hidden, table)
        }""",
        table=table,
        weight=weight,
        bias=bias,
    )
    unify_linears(model)
    assert operators(model) == {"Gather": 1, "MatMul": 2, "Add": 1}
    tie_transposes(model)
    assert operators(model) == {"Gather": 1, "Transpose": 1, "MatMul": 2, "Add": 1}
    assert [linear.transposed for linear in linears(model.graph)] == [False, True]
    held = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.uses())
    assert held == table.nbytes + weight.nbytes + bias.nbytes
    ids = np.array([3, 8, 0])
    expected = (table[ids] @ weight.T + bias) @ table.T
    np.testing.assert_allclose(run(model, tmp_path, {"ids": ids})["y"], expected, atol=1e-5)


def test_a_scaled_gemm_is_left_alone() -> None:
    model = parse("(float[n,4] x) => (float[n,4] y) { y = Gemm <alpha = 2.0> (x, weight) }", weight=normal(4, 4))
    unify_linears(model)
    assert operators(model) == {"Gemm": 1}
    assert list(linears(model.graph)) == []


def test_equal_nodes_and_weights_are_shared() -> None:
    weight = normal(4, 4)
    model = parse(
        "(float[n,4] x) => (float[n,4] y) { a = MatMul(x, one) b = MatMul(x, two) y = Add(a, b) }",
        one=weight,
        two=weight,
    )
    share_equal(model)
    assert operators(model) == {"MatMul": 1, "Add": 1}
    assert len(model.graph.initializers) == 1


def test_no_note_of_the_tracer_is_left() -> None:
    model = parse("(float[n,4] x) => (float[n,4] y) { y = Relu(x) }")
    for holder in (model, model.graph, next(iter(model.graph)), *model.graph.inputs, *model.graph.outputs):
        holder.metadata_props["stack_trace"] = "/home/somebody/model.py"
    forget_origin(model)
    assert b"somebody" not in ir.to_proto(model).SerializeToString()


WEIGHTS = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-4, 4, width=32))


@settings(max_examples=60)
@given(WEIGHTS, st.sampled_from([0, 1]))
def test_rounded_weights_are_close_and_never_overflow_sixteen_bits(matrix: NDArray[np.float32], axis: int) -> None:
    values, scales = quantise_weight(matrix, axis)
    assert np.abs(values * scales.astype(np.float64) - matrix).max() <= scales.max() * 0.5001
    along = np.moveaxis(np.abs(values.astype(np.int64)), axis, -1)
    pairs = along[..., : along.shape[-1] // 2 * 2].reshape(*along.shape[:-1], -1, 2).sum(axis=-1)
    # 255 is the largest activation; the product of a pair must fit into a signed 16-bit sum.
    assert 255 * pairs.max(initial=0) <= np.iinfo(np.int16).max


def test_one_scale_serves_even_weights_and_each_output_has_its_own_otherwise() -> None:
    even = normal(32, 16)
    uneven = even * np.logspace(0, -3, 16, dtype=np.float32)
    assert quantise_weight(even, 0)[1].shape == (1, 1)
    values, scales = quantise_weight(uneven, 0)
    assert scales.shape == (1, 16)
    assert np.square(values * scales - uneven).sum(axis=0).max() < 1e-3 * np.square(uneven).sum(axis=0).max()
    noise = np.square(values * scales - uneven).sum(axis=0) / np.square(uneven).sum(axis=0)
    assert noise.max() < 1e-3


def feed_forward() -> ir.Model:
    return parse(
        """(float[n,32] x) => (float[n,32] y) {
            a = MatMul(x, inner)
            inner_out = Add(a, bias)
            rectified = Relu(inner_out)
            b = MatMul(rectified, outer)
            y = Add(b, x)
        }""",
        inner=normal(32, 48, scale=0.2),
        outer=normal(48, 32, scale=0.2),
        bias=normal(48),
    )


def test_products_become_integer_ones_and_swallow_bias_and_rectifier(tmp_path: Path) -> None:
    model = feed_forward()
    x = normal(40, 32)
    expected = run(model, tmp_path, {"x": x})["y"]
    quantise_products(model, {"x": (-4.0, 4.0), "rectified": (0.0, 8.0)})
    assert operators(model) == {"QuantizeLinear": 2, "MatMulIntegerToFloat": 2, "Add": 1}
    actual = run(model, tmp_path, {"x": x})["y"]
    assert np.abs(actual - expected).max() < 0.15
    assert not np.array_equal(actual, expected)


def test_integer_products_do_not_see_the_rows_beside_them(tmp_path: Path) -> None:
    model = feed_forward()
    quantise_products(model, {"x": (-4.0, 4.0), "rectified": (0.0, 8.0)})
    x = normal(7, 32)
    together = run(model, tmp_path, {"x": np.concatenate([x, 100 * normal(3, 32)])})["y"][:7]
    for row in range(7):
        np.testing.assert_array_equal(run(model, tmp_path, {"x": x[row : row + 1]})["y"][0], together[row])


def test_products_may_follow_one_another(tmp_path: Path) -> None:
    model = parse(
        "(float[n,32] x) => (float[n,32] y) { a = MatMul(x, one) y = MatMul(a, two) }",
        one=normal(32, 32, scale=0.2),
        two=normal(32, 32, scale=0.2),
    )
    x = normal(9, 32)
    expected = run(model, tmp_path, {"x": x})["y"]
    quantise_products(model, {"x": (-4.0, 4.0), "a": (-4.0, 4.0)})
    assert operators(model) == {"QuantizeLinear": 2, "MatMulIntegerToFloat": 2}
    assert np.abs(run(model, tmp_path, {"x": x})["y"] - expected).max() < 0.15


def test_an_uncalibrated_product_is_refused() -> None:
    with pytest.raises(OptimiseError, match="'rectified' is to be rounded and was not calibrated"):
        quantise_products(feed_forward(), {"x": (-4.0, 4.0)})


def test_embeddings_are_stored_small_and_restored_as_the_graph_loads(tmp_path: Path) -> None:
    table = normal(64, 32)
    model = parse(
        "(int64[n] ids) => (float[n,32] y) { x = Gather(table, ids) y = Mul(x, factor) }",
        table=table,
        factor=np.array(3.0, np.float32),
    )
    store_small(model)
    fold_embedding_scale(model)
    assert operators(model) == {"Cast": 1, "Mul": 1, "Gather": 1}
    largest = max(value.const_value.nbytes for value in model.graph.initializers.values())
    assert largest == table.size
    ids = np.arange(64)
    assert np.abs(run(model, tmp_path, {"ids": ids})["y"] - 3 * table).max() < 3 * 4 / 127


def test_a_tied_embedding_is_stored_once_for_both_its_uses() -> None:
    model = parse(
        """(int64[n] ids) => (float[n,64] y) {
            x = Gather(table, ids)
            y = Gemm <transB = 1> (x, table)
        }""",
        table=normal(64, 32),
    )
    unify_linears(model)
    tie_transposes(model)
    quantise_products(model, {"x": (-4.0, 4.0)})
    store_small(model)
    matrices = [v for v in model.graph.initializers.values() if v.const_value.nbytes >= 64 * 32]
    assert [value.dtype for value in matrices] == [ir.DataType.INT8]


def test_half_precision_ends_before_the_scores(tmp_path: Path) -> None:
    model = parse(
        """(float[n,8] state, int64[1] k) => (int64[n,q] candidates, float[n,q] scores, float[n,8] following) {
            following = Where(mask, state, lowest)
            logits = MatMul(state, weight)
            normalised = LogSoftmax(logits)
            scores, candidates = TopK(normalised, k)
        }""",
        weight=normal(8, 6),
        mask=np.array([True, False] * 4),
        lowest=np.array(np.finfo(np.float32).min),
    )
    state = normal(3, 8)
    expected = run(model, tmp_path, {"state": state, "k": np.array([6])})
    convert_to_half(model)
    types = {value.name: value.dtype for value in (*model.graph.inputs, *model.graph.outputs)}
    half, single, whole = ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.INT64
    assert types == {"state": half, "k": whole, "candidates": whole, "scores": single, "following": half}
    assert next(node for node in model.graph if node.op_type == "LogSoftmax").inputs[0].dtype == single
    actual = run(model, tmp_path, {"state": state, "k": np.array([6])})
    assert np.abs(actual["scores"] - expected["scores"]).max() < 0.01
    assert np.isfinite(actual["following"]).all()
