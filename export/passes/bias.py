"""What the rounding of filters adds to a convolution's mean output, taken off its bias.

The errors of one filter's weights meet the same channels everywhere, so they do not average out over a picture: each
channel is off by a constant, and every layer adds to it (Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.2; measured in docs/decisions/0013).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.passes.convolution import convolutions
from export.passes.rounding import quantise_filters
from export.passes.values import add_constant, constant

Means = Mapping[str, NDArray[Any]]
"""Value name → the mean of each of its channels, axis 1."""


def correct_biases(model: ir.Model, means: Means) -> None:
    """Shift every bias, before `quantise_convolutions`, so that means come out right with rounded filters.

    Args:
        model: an fp32 graph, which then is off by as much as rounding will be, the other way.
        means: of the input of each of its convolutions.
    """
    for found in convolutions(model.graph):
        weight = constant(found.weight)
        assert weight is not None
        values, scales = quantise_filters(weight)
        errors = (values * scales - weight).sum(axis=(2, 3))
        groups = means[str(found.x.name)].reshape(-1, 1, weight.shape[1])
        shift = (errors.reshape(len(groups), -1, weight.shape[1]) * groups).sum(axis=2).ravel()
        bias = add_constant(model.graph, f"{found.weight.name}.corrected", (found.bias - shift).astype(np.float32))
        found.node.resize_inputs(3)
        found.node.replace_input_with(2, bias)
