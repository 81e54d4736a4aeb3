"""How numbers become 8 bits: weights once, activations by a range that is fixed at export.

Scales are fixed, so a row's numbers never depend on the rows beside it, as they do with dynamic scales.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.errors import OptimiseError
from export.passes.values import add_constant, constant, first_consumer, insert_before

Range = tuple[float, float]
"""Lowest and highest value that an activation is expected to take."""

_NOISE = 1e-3
"""Power of the rounding errors, relative to the weights', up to which outputs share one scale."""
_NOTHING = 1e-4
"""A filter this small beside the largest is rounded as coarsely as that: what it adds is below one level of the bytes
that both are rounded to, and its own scale would be too fine for its bias."""
_MOVEMENTS = {"Reshape", "Transpose"}
_STEPS: dict[str, Callable[[float], tuple[float, float]]] = {
    "Add": lambda by: (1.0, by),
    "Sub": lambda by: (1.0, -by),
    "Mul": lambda by: (by, 0.0),
    "Div": lambda by: (1 / by, 0.0),
}
"""Operator with a constant `by` → factor and shift of what it does to its input."""


class Rounded(NamedTuple):
    """A value as unsigned bytes: `(values - zero_point) · scale`; scale and zero point are scalar initialisers."""

    values: ir.Value
    scale: ir.Value
    zero_point: ir.Value


def quantise_weight(matrix: NDArray[Any], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 → values and the scales to multiply them by, which broadcast against the values.

    One scale serves the whole tensor where that keeps the rounding 30 dB below the weights, on average over the
    outputs, since products with one scale run 10 to 30 % faster; else each output (each index along all axes but
    `axis`) has its own.

    x86 processors without VNNI add two neighbouring products `u8 · s8` in 16 bits and cut off what does not fit. The
    scales keep the sum of any two neighbours along `axis` below that bound, so every processor gets the same numbers;
    it costs about half a bit.
    """
    highest = np.moveaxis(_pairs(np.moveaxis(matrix, axis, -1)).max(axis=-1, keepdims=True), -1, axis)
    each = _scales(highest)
    one = each.max(keepdims=True)
    rounded = _round(matrix, one)
    noise, signal = (np.square(array).mean(axis=axis) for array in (rounded * one - matrix, matrix))
    if float((noise / np.maximum(signal, np.finfo(np.float32).tiny)).mean()) <= _NOISE:
        return rounded, one
    return _round(matrix, each), each


def quantise_filters(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 of a convolution's weight `[filters, channels, height, width]` → values, and a scale a filter.

    Neighbours are those of a picture whose channels lie side by side, as the runtime lays it out. A filter of a single
    channel is multiplied in 16 bits anywhere, and its weights are bound one by one.
    """
    flat = np.moveaxis(weight, 1, -1).reshape(len(weight), -1)
    highest = (_pairs(flat) if weight.shape[1] > 1 else np.abs(flat)).max(axis=1)
    scales = _scales(np.where(highest > _NOTHING * highest.max(), highest, highest.max()).reshape(-1, 1, 1, 1))
    return _round(weight, scales), scales


def _pairs(array: NDArray[Any]) -> NDArray[Any]:
    """Sum of the magnitudes of every two neighbours of the last axis."""
    padded = np.pad(np.abs(array), [(0, 0)] * (array.ndim - 1) + [(0, array.shape[-1] % 2)])
    sums: NDArray[Any] = padded.reshape(*padded.shape[:-1], -1, 2).sum(axis=-1)
    return sums


def _scales(highest: NDArray[Any]) -> NDArray[np.float32]:
    scales: NDArray[np.float32] = np.maximum(highest, np.finfo(np.float32).tiny).astype(np.float32) / np.float32(127)
    return scales


def _round(matrix: NDArray[Any], scales: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.clip(np.round(matrix / scales), -127, 127).astype(np.int8)


def find_scale(graph: ir.Graph, name: str, ranges: Mapping[str, Range]) -> tuple[ir.Value, ir.Value]:
    """Scale and zero point for a value's calibrated range; zero is always exact.

    Raises:
        OptimiseError: the value was not calibrated.
    """
    if name not in ranges:
        raise OptimiseError(f"{name!r} is to be rounded and was not calibrated: calibrate every graph's inputs")
    low, high = min(ranges[name][0], 0.0), max(ranges[name][1], 0.0)
    scale = max((high - low) / 255, float(np.finfo(np.float32).tiny))
    return _add_scale(graph, name, scale, round(-low / scale))


def bytes_behind(graph: ir.Graph, value: ir.Value) -> Rounded | None:
    """The bytes that a value restores, moves, or maps to numbers without loss, as it does with a picture's pixels.

    None where there are no such bytes.
    """
    producer = value.producer()
    if producer is None:
        return None
    if producer.op_type == "DequantizeLinear":
        return Rounded(*(held for held in producer.inputs if held is not None))
    if producer.op_type in _MOVEMENTS and (origin := producer.inputs[0]) is not None:
        found = bytes_behind(graph, origin)
        if found is None:
            return None
        inputs, attributes = [found.values, *producer.inputs[1:]], dict(producer.attributes)
        moved = insert_before(
            graph, producer, producer.op_type, inputs, attributes, dtype=ir.DataType.UINT8, shape=value.shape
        )
        return found._replace(values=moved)
    return _pixels_behind(graph, value)


def round_activation(graph: ir.Graph, value: ir.Value, ranges: Mapping[str, Range]) -> Rounded:
    """A value as bytes: those that it was made from where there are such, else rounded by its range.

    A ReLU in front is left out where rounding up to zero does the same.

    Raises:
        OptimiseError: the value was not calibrated.
    """
    known = bytes_behind(graph, value)
    if known is not None:
        return known
    scale, zero_point = find_scale(graph, str(value.name), ranges)
    producer = value.producer()
    rectified = producer is not None and producer.op_type == "Relu" and constant(zero_point) == 0
    quantised = insert_before(
        graph,
        first_consumer(graph, value),
        "QuantizeLinear",
        [producer.inputs[0] if rectified and producer is not None else value, scale, zero_point],
        dtype=ir.DataType.UINT8,
        shape=value.shape,
        name=f"{value.name}.quantised",
    )
    return Rounded(quantised, scale, zero_point)


def _pixels_behind(graph: ir.Graph, value: ir.Value) -> Rounded | None:
    """Bytes of which a value is `factor · bytes + shift`, if one of them stands for zero."""
    factor, shift, node = 1.0, 0.0, value.producer()
    while node is not None and node.op_type in _STEPS:
        operand = constant(node.inputs[1])
        if operand is None or operand.size != 1:
            return None
        by, to = _STEPS[node.op_type](operand.item())
        factor, shift = factor * by, shift + factor * to
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    source = node.inputs[0] if node is not None and node.op_type == "Cast" else None
    if source is None or source.dtype != ir.DataType.UINT8 or factor <= 0:
        return None
    zero_point = -shift / factor
    if zero_point != round(zero_point) or not 0 <= zero_point <= 255:
        return None
    return Rounded(source, *_add_scale(graph, str(value.name), factor, int(zero_point)))


def _add_scale(graph: ir.Graph, name: str, scale: float, zero_point: int) -> tuple[ir.Value, ir.Value]:
    return (
        add_constant(graph, f"{name}.scale", np.array(scale, np.float32)),
        add_constant(graph, f"{name}.zero_point", np.array(zero_point, np.uint8)),
    )
