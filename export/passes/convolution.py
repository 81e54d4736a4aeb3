"""int8 convolutions: chains of them, and the sums between them, that hand on bytes.

Written as ONNX's `QLinearConv` and ONNX Runtime's `QLinearAdd`, which is what the runtime makes of the same graph in
Quantize/Dequantize form; a ReLU6 becomes the range of what it bounds (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.errors import OptimiseError
from export.passes.rounding import Range, Rounded, bytes_behind, find_scale, quantise_filters, round_activation
from export.passes.values import CONTRIB, add_constant, constant, insert_before, only_consumer, remove_unused, replace


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional convolution with constant weights, and the ReLU or ReLU6 behind it.

    Attributes:
        node: the convolution itself.
        x: input `[rows, channels, height, width]`.
        weight: initialiser `[filters, channels / groups, height, width]`.
        bias: `[filters]`.
        output: `[rows, filters, height, width]`, rectified.
    """

    node: ir.Node
    x: ir.Value
    weight: ir.Value
    bias: NDArray[Any]
    output: ir.Value


def convolutions(graph: ir.Graph) -> Iterator[Convolution]:
    """Every such convolution of a graph, in order, each looked at when its turn comes."""
    for node in tuple(graph):
        found = _convolution(node)
        if found is not None:
            yield found


def convolved(graph: ir.Graph) -> set[ir.Value]:
    """What convolutions read and make, and the sums of what they make: all that is rounded by its calibrated range."""
    made: set[ir.Value] = set()
    read: set[ir.Value] = set()
    for node in graph:
        if (found := _convolution(node)) is not None:
            read.add(found.x)
            made.add(found.output)
        elif _adds(node, made):
            made.add(node.outputs[0])
    return made | read


def quantise_convolutions(model: ir.Model, ranges: Mapping[str, Range]) -> None:
    """Compute every convolution as `u8 activations · s8 weights → u8`, and add what they make as bytes.

    Args:
        model: an fp32 graph.
        ranges: of what `convolved` lists, by value name.

    Raises:
        OptimiseError: a value was not calibrated.
    """
    graph = model.graph
    made: set[ir.Value] = set()
    for node in tuple(graph):
        found = _convolution(node)
        if found is not None:
            made.add(_dequantise(graph, found.output, _convolve(graph, found, ranges)))
        elif _adds(node, made):
            made.add(_dequantise(graph, node.outputs[0], _add(graph, node, ranges)))
    remove_unused(model)


def average_exactly(model: ir.Model) -> None:
    """Take means of bytes as sums of whole numbers, after `quantise_convolutions`.

    Those are exact in single precision, in whatever order they are added. A mean of the restored numbers has another
    last bit in a batch than alone, which tips the rounding of what is computed from it.
    """
    graph = model.graph
    for node in tuple(graph):
        mean, value = node.outputs[0], node.inputs[0]
        found = None if node.op_type != "ReduceMean" or value is None else bytes_behind(graph, value)
        if found is None or value is None:
            continue
        one = add_constant(graph, "one", np.array(1, np.float32))
        whole = insert_before(
            graph, node, "DequantizeLinear", [found.values, one, found.zero_point], dtype=value.dtype, shape=value.shape
        )
        attributes = dict(node.attributes)
        mean_of_whole = insert_before(
            graph, node, "ReduceMean", [whole, *node.inputs[1:]], attributes, dtype=mean.dtype, shape=mean.shape
        )
        replace(mean, insert_before(graph, node, "Mul", [mean_of_whole, found.scale]))
    remove_unused(model)


def _convolution(node: ir.Node) -> Convolution | None:
    if node.op_type != "Conv":
        return None
    x, weight = node.inputs[:2]
    array = constant(weight)
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(1, np.float32)
    if x is None or weight is None or array is None or array.ndim != 4 or bias is None:
        return None
    after = only_consumer(node.outputs[0])
    output = after.outputs[0] if after is not None and _rectifies(after) else node.outputs[0]
    return Convolution(node, x, weight, np.broadcast_to(bias, len(array)), output)


def _rectifies(node: ir.Node) -> bool:
    """Whether a node does no more than bound values to a range with zero in it, as a calibrated one does too."""
    if node.op_type != "Clip":
        return node.op_type == "Relu"
    low, high = (constant(value) for value in node.inputs[1:])
    return low is not None and high is not None and bool(low <= 0 <= high)


def _adds(node: ir.Node, made: Collection[ir.Value | None]) -> bool:
    return node.op_type == "Add" and all(value in made for value in node.inputs)


def _convolve(graph: ir.Graph, found: Convolution, ranges: Mapping[str, Range]) -> Rounded:
    x, out = round_activation(graph, found.x, ranges), find_scale(graph, str(found.output.name), ranges)
    array, x_scale = constant(found.weight), constant(x.scale)
    assert array is not None
    assert x_scale is not None
    weight, scales = quantise_filters(array)
    name = str(found.weight.name)
    bias = np.round(found.bias / (x_scale * scales.ravel()))
    if np.abs(bias).max() > np.iinfo(np.int32).max:
        raise OptimiseError(f"{name!r}: its bias is {np.abs(bias).max():.3g} times what its products are counted in")
    values = insert_before(
        graph,
        found.node,
        "QLinearConv",
        [
            *x,
            add_constant(graph, f"{name}.int8", weight),
            add_constant(graph, f"{name}.scales", scales.ravel()),
            add_constant(graph, f"{name}.zero_point", np.zeros(len(scales), np.int8)),
            *out,
            add_constant(graph, f"{name}.bias", bias.astype(np.int32)),
        ],
        dict(found.node.attributes),
        dtype=ir.DataType.UINT8,
        shape=found.output.shape,
        name=f"{found.output.name}.quantised",
    )
    return Rounded(values, *out)


def _add(graph: ir.Graph, node: ir.Node, ranges: Mapping[str, Range]) -> Rounded:
    one, other = (round_activation(graph, value, ranges) for value in node.inputs if value is not None)
    total = node.outputs[0]
    out = find_scale(graph, str(total.name), ranges)
    name = f"{total.name}.quantised"
    values = insert_before(
        graph,
        node,
        "QLinearAdd",
        [*one, *other, *out],
        domain=CONTRIB,
        dtype=ir.DataType.UINT8,
        shape=total.shape,
        name=name,
    )
    return Rounded(values, *out)


def _dequantise(graph: ir.Graph, value: ir.Value, rounded: Rounded) -> ir.Value:
    """Let all that reads a value read it from its bytes."""
    producer = value.producer()
    assert producer is not None
    restored = insert_before(graph, producer, "DequantizeLinear", rounded, dtype=ir.DataType.FLOAT, shape=value.shape)
    replace(value, restored)
    return restored
