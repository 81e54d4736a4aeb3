"""int8: matrix products in integer arithmetic with static activation scales, everything else stored small.

Scales are fixed at export, so a row's numbers never depend on the rows beside it, as they do with dynamic scales.
Products are written as ONNX Runtime's `MatMulIntegerToFloat` itself, because what the runtime makes of the same
graph in Quantize/Dequantize form keeps the bias as one more node (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from export.passes.convolution import convolved
from export.passes.linear import Linear, linears
from export.passes.rounding import Range, Rounded, quantise_filters, quantise_weight, round_activation
from export.passes.values import (
    CONTRIB,
    add_constant,
    constant,
    first_consumer,
    insert_before,
    only_consumer,
    remove_unused,
    replace,
)

_SMALLEST = 16
"""Products with fewer outputs stay in fp32: they cost nothing, and a score vector decides too much."""
_STORED_BYTES = 4096
"""Smaller tensors stay in fp32."""


def quantised_linears(graph: ir.Graph) -> Iterator[Linear]:
    """The affine maps that int8 computes in integers, each looked at when its turn comes."""
    return (linear for linear in linears(graph) if min(linear.matrix().shape) >= _SMALLEST)


def rounded_values(graph: ir.Graph) -> set[ir.Value]:
    """Every value of an fp32 graph whose range int8 asks for."""
    return {linear.x for linear in quantised_linears(graph)} | convolved(graph)


def quantise_products(model: ir.Model, ranges: Mapping[str, Range]) -> None:
    """Compute every affine map as `u8 activations · s8 weights`, its bias added in the same operator.

    Args:
        model: after `unify_linears`.
        ranges: of the input of each map that `quantised_linears` lists, by value name.

    Raises:
        OptimiseError: a map's input was not calibrated.
    """
    graph = model.graph
    weights: dict[tuple[ir.Value, bool], tuple[ir.Value, ir.Value]] = {}
    activations: dict[ir.Value, Rounded] = {}
    for linear in quantised_linears(graph):
        if linear.x not in activations:
            activations[linear.x] = round_activation(graph, linear.x, ranges)
        key = (linear.weight, linear.transposed)
        if key not in weights:
            weights[key] = _quantise_product_weight(graph, linear)
        quantised, scale, zero_point = activations[linear.x]
        weight, weight_scale = weights[key]
        output = insert_before(
            graph,
            linear.last,
            "MatMulIntegerToFloat",
            [quantised, weight, scale, weight_scale, zero_point, None, linear.bias],
            domain=CONTRIB,
        )
        replace(linear.output, output)
    remove_unused(model)


def store_small(model: ir.Model) -> None:
    """Store remaining large weights as int8, multiplied back by the runtime as it loads.

    For what is not an integer product: embeddings, recurrent ops, and graphs that run seldom. Written as Cast and Mul,
    which the runtime folds, and not as DequantizeLinear, which it keeps: recomputed at every call, that made a GRU four
    times slower. Values are rounded as in `quantise_products`, so the graphs of a bundle share them.
    """
    graph = model.graph
    for value in tuple(graph.initializers.values()):
        array = constant(value)
        if array is None or array.dtype != np.float32 or array.nbytes < _STORED_BYTES or array.ndim < 2:
            continue
        users = {(use.node.op_type, use.idx) for use in value.uses()}
        if array.ndim == 4 and ("Conv", 1) in users:
            quantised, scales = quantise_filters(array)
        else:
            quantised, scales = quantise_weight(array, axis=-2 if ("MatMul", 1) in users else -1)
        first = first_consumer(graph, value)
        stored = add_constant(graph, f"{value.name}.int8", quantised)
        cast = insert_before(graph, first, "Cast", [stored], {"to": ir.DataType.FLOAT}, dtype=ir.DataType.FLOAT)
        scale = add_constant(graph, f"{value.name}.scale", scales)
        restored = insert_before(graph, first, "Mul", [cast, scale], dtype=ir.DataType.FLOAT, shape=value.shape)
        restored.name = f"{value.name}.restored"
        value.replace_all_uses_with(restored)
    remove_unused(model)
    graph.sort()


def fold_embedding_scale(model: ir.Model) -> None:
    """Let the factor that a Transformer puts on its embeddings be part of their scales, after `store_small`."""
    for gather in tuple(model.graph):
        factor_node = only_consumer(gather.outputs[0]) if gather.op_type == "Gather" else None
        table = gather.inputs[0]
        restore = table.producer() if table is not None and len(table.uses()) == 1 else None
        if factor_node is None or restore is None or (factor_node.op_type, restore.op_type) != ("Mul", "Mul"):
            continue
        factor = constant(factor_node.inputs[1 - factor_node.inputs.index(gather.outputs[0])])
        scales = constant(restore.inputs[1])
        if factor is not None and factor.size == 1 and scales is not None:
            scaled = add_constant(model.graph, f"{restore.outputs[0].name}.scale", scales * factor.reshape(()))
            restore.replace_input_with(1, scaled)
            replace(factor_node.outputs[0], gather.outputs[0])
            model.graph.remove(factor_node, safe=True)
    remove_unused(model)


def _quantise_product_weight(graph: ir.Graph, linear: Linear) -> tuple[ir.Value, ir.Value]:
    array = constant(linear.weight)
    assert array is not None
    quantised, scales = quantise_weight(array, axis=1 if linear.transposed else 0)
    stored = add_constant(graph, f"{linear.weight.name}.int8", quantised)
    scale = add_constant(graph, f"{linear.weight.name}.scales", scales.reshape(-1 if scales.size > 1 else ()))
    if linear.transposed:
        first = next(iter(graph))
        stored = insert_before(graph, first, "Transpose", [stored], {"perm": [1, 0]}, dtype=ir.DataType.INT8)
    return stored, scale
