"""Affine maps `x · weight + bias` with constant weights, found in any form that the exporter writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.passes.values import add_constant, constant, insert_before, only_consumer, remove_unused, replace


@dataclass(frozen=True)
class Linear:
    """One affine map.

    Attributes:
        x: input `[…, in]`.
        weight: initialiser, `[in, out]`, or `[out, in]` where `transposed`.
        bias: initialiser `[out]` or None.
        output: `[…, out]`.
        last: the node that makes the output.
    """

    x: ir.Value
    weight: ir.Value
    transposed: bool
    bias: ir.Value | None
    output: ir.Value
    last: ir.Node

    def matrix(self) -> NDArray[Any]:
        """The weight as `[in, out]`."""
        array = constant(self.weight)
        assert array is not None
        return array.T if self.transposed else array


def linears(graph: ir.Graph) -> Iterator[Linear]:
    """Every affine map of a graph, in order; a `MatMul` whose only use is to add a bias is one with it.

    Each is looked at when its turn comes, so the caller may rewrite the one before, which may be its input.
    """
    for node in tuple(graph):
        found = _from_gemm(node) if node.op_type == "Gemm" else _from_matmul(node) if node.op_type == "MatMul" else None
        if found is not None:
            yield found


def unify_linears(model: ir.Model) -> None:
    """Write every affine map as MatMul and Add over an `[in, out]` weight.

    One form means that graphs which use the same matrix in different forms (2-D in a step, 3-D in an encoder) store it
    once.
    """
    graph = model.graph
    for linear in linears(graph):
        if linear.last.op_type != "Gemm":
            continue
        weight = linear.weight
        if linear.transposed:
            weight = add_constant(graph, f"{weight.name}.transposed", linear.matrix())
        product = insert_before(graph, linear.last, "MatMul", [linear.x, weight], name=f"{linear.output.name}.product")
        if linear.bias is not None:
            product.type, product.shape = linear.output.type, linear.output.shape
            product = insert_before(graph, linear.last, "Add", [product, linear.bias])
        replace(linear.output, product)
        graph.remove(linear.last, safe=True)
    remove_unused(model)


def tie_transposes(model: ir.Model) -> None:
    """Let a product with the transpose of an embedding read the embedding itself, after `unify_linears`.

    What PyTorch ties, the exporter unties. A Transpose that the runtime folds as it loads the graph costs nothing, and
    leaves one matrix to store.
    """
    graph = model.graph
    tables = {node.inputs[0]: constant(node.inputs[0]) for node in graph if node.op_type == "Gather"}
    for linear in linears(graph):
        for table, array in tables.items():
            if table is not None and array is not None and np.array_equal(array, linear.matrix().T):
                tied = _transpose(graph, table)
                linear.weight.replace_all_uses_with(tied)
    remove_unused(model)


def _transpose(graph: ir.Graph, table: ir.Value) -> ir.Value:
    first, perm = next(iter(graph)), {"perm": [1, 0]}
    return insert_before(graph, first, "Transpose", [table], perm, dtype=table.dtype, name=f"{table.name}.transposed")


def _from_gemm(node: ir.Node) -> Linear | None:
    attributes = node.attributes
    plain = attributes.get_float("alpha", 1.0) == attributes.get_float("beta", 1.0) == 1.0
    x, weight = node.inputs[:2]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not plain or attributes.get_int("transA") == 1 or x is None or weight is None or constant(weight) is None:
        return None
    if bias is not None and not _is_vector(bias, node.outputs[0]):
        return None
    return Linear(x, weight, attributes.get_int("transB") == 1, bias, node.outputs[0], node)


def _from_matmul(node: ir.Node) -> Linear | None:
    x, operand = node.inputs
    if x is None or operand is None:
        return None
    weight, transposed = _behind_transpose(operand)
    array = constant(weight)
    if array is None or array.ndim != 2:
        return None
    output = node.outputs[0]
    adder = only_consumer(output)
    if adder is not None and adder.op_type == "Add":
        bias = adder.inputs[1] if adder.inputs[0] is output else adder.inputs[0]
        if bias is not None and _is_vector(bias, output):
            return Linear(x, weight, transposed, bias, adder.outputs[0], adder)
    return Linear(x, weight, transposed, None, output, node)


def _behind_transpose(value: ir.Value) -> tuple[ir.Value, bool]:
    producer = value.producer()
    if producer is None or producer.op_type != "Transpose" or producer.inputs[0] is None:
        return value, False
    return producer.inputs[0], True


def _is_vector(bias: ir.Value, output: ir.Value) -> bool:
    array = constant(bias)
    width = None if output.shape is None else output.shape[-1]
    return array is not None and array.ndim == 1 and (width is None or np.shape(array)[0] == width)
