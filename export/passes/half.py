"""fp16: weights and arithmetic in half precision, from the logits to the scores in single."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.passes.values import add_constant, constant, insert_before
from export.precisions import KEPT_SINGLE

_SINGLE, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_LARGEST = float(np.finfo(np.float16).max)
_LOGITS_FROM = {"MatMul", "Gemm"}


def convert_to_half(model: ir.Model) -> None:
    """Turn every float32 tensor of a graph, its inputs and outputs included, into float16.

    Exceptions: `scores` and what leads to them from the logits on, since a log-softmax over a vocabulary needs single
    precision, and `attention`, which people read.
    """
    graph = model.graph
    single = _score_nodes(graph)
    for value in (*graph.inputs, *(output for node in graph if node not in single for output in node.outputs)):
        if value.dtype == _SINGLE:
            value.type = ir.TensorType(_HALF)  # not value.dtype: clones share their type objects
    for node in graph:
        if node not in single:
            _convert_attributes(node)
    for initializer in tuple(graph.initializers.values()):
        _convert_initializer(graph, initializer, single)
    _cast_into(graph, single)
    _cast_outputs(graph)


def _score_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Nodes between the product that makes the logits and the scores."""
    waiting = [value.producer() for value in graph.outputs if value.name == "scores"]
    found: set[ir.Node] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found and node.op_type not in _LOGITS_FROM:
            found.add(node)
            waiting += [value.producer() for value in node.inputs if value is not None]
    return found


def _convert_attributes(node: ir.Node) -> None:
    if node.op_type == "Cast" and node.attributes.get_int("to") == _SINGLE:
        node.attributes["to"] = ir.AttrInt64("to", _HALF)
    if (fill := node.attributes.get("value")) is not None and fill.type == ir.AttributeType.TENSOR:
        array = fill.as_tensor().numpy()
        if array.dtype == np.float32:
            node.attributes["value"] = ir.AttrTensor("value", ir.Tensor(_half(array)))


def _convert_initializer(graph: ir.Graph, value: ir.Value, single: Collection[ir.Node]) -> None:
    array = constant(value)
    if array is None or array.dtype != np.float32:
        return
    users = [use for use in value.uses() if use.node not in single]
    if not users:
        return
    half = add_constant(graph, f"{value.name}.half", _half(array))
    for use in users:
        use.node.replace_input_with(use.idx, half)
    if not value.uses():
        del graph.initializers[str(value.name)]


def _cast_into(graph: ir.Graph, single: Collection[ir.Node]) -> None:
    """Let the nodes that stay in single precision read half-precision values through one Cast each."""
    casts: dict[ir.Value, ir.Value] = {}
    for node in tuple(graph):
        if node not in single:
            continue
        for index, value in enumerate(node.inputs):
            if value is None or value.dtype != _HALF:
                continue
            if value not in casts:
                name = f"{value.name}.single"
                casts[value] = insert_before(
                    graph, node, "Cast", [value], {"to": _SINGLE}, dtype=_SINGLE, shape=value.shape, name=name
                )
            node.replace_input_with(index, casts[value])


def _cast_outputs(graph: ir.Graph) -> None:
    for index, value in enumerate(graph.outputs):
        if value.name in KEPT_SINGLE and value.dtype == _HALF:
            name, value.name = value.name, f"{value.name}.half"
            cast = ir.node("Cast", [value], {"to": _SINGLE})
            cast.outputs[0].name, cast.outputs[0].shape = name, value.shape
            cast.outputs[0].type = ir.TensorType(_SINGLE)
            graph.append(cast)
            graph.outputs[index] = cast.outputs[0]


def _half(array: NDArray[Any]) -> NDArray[Any]:
    """Float16 without infinities: a mask's lowest float32 becomes the lowest float16."""
    half: NDArray[Any] = np.clip(array, -_LARGEST, _LARGEST).astype(np.float16)
    return half
