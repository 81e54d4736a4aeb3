"""Channels far wider than the others made narrow before a product, and their weights wide, before both are rounded.

One range serves a whole activation, and a Transformer has a few channels ten times as wide as the rest: rounding them
would take most of the levels (Xiao et al. 2023, "SmoothQuant", section 3; measured in docs/decisions/0010).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.passes.integer import quantised_linears
from export.passes.linear import Linear
from export.passes.values import add_constant, insert_before, remove_unused

Peaks = Mapping[str, NDArray[Any]]
"""Value name → the largest magnitude of each channel, its last axis."""

Divisors = Mapping[str, NDArray[np.float32]]
"""Digest of a weight → what each channel of its input is divided by, and its rows multiplied."""

_OUTLIER, _KEPT = 3.0, 1.5
"""An activation is smoothed if a channel is so many times as wide as the median one; how wide a channel stays then."""


def find_divisors(graph: ir.Graph, peaks: Peaks) -> Divisors:
    """What to divide by before those products of a graph that have outliers among their inputs' channels.

    Only outliers are touched: spreading all channels evenly, as the paper does, widened the weights' own rounding more
    than it narrowed the activations'.
    """
    found = {}
    for linear in quantised_linears(graph):
        widths = peaks[str(linear.x.name)]
        usual = float(np.median(widths))
        if not linear.transposed and widths.max() > _OUTLIER * usual > 0:
            found[_digest(linear)] = np.maximum(1, widths / (_KEPT * usual)).astype(np.float32)
    return found


def smooth_products(model: ir.Model, divisors: Divisors) -> None:
    """Divide and multiply wherever a graph uses those weights; its numbers stay what they were."""
    graph = model.graph
    for linear in quantised_linears(graph):
        divisor = None if linear.transposed else divisors.get(_digest(linear))
        if divisor is None:
            continue
        product = next(use.node for use in linear.weight.uses() if use.node.inputs[0] is linear.x)
        name = f"{linear.x.name}.smoothed"
        factor = add_constant(graph, f"{name}.factor", 1 / divisor)
        weight = add_constant(graph, f"{linear.weight.name}.smoothed", linear.matrix() * divisor[:, None])
        smoothed = insert_before(
            graph, product, "Mul", [linear.x, factor], dtype=linear.x.dtype, shape=linear.x.shape, name=name
        )
        product.replace_input_with(0, smoothed)
        product.replace_input_with(1, weight)
    remove_unused(model)


def _digest(linear: Linear) -> str:
    return hashlib.sha256(linear.matrix().tobytes()).hexdigest()
