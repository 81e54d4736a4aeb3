"""What tells the precisions apart: where each runs, what its graphs take and return, how close its numbers must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contract.manifest import Precision
from contract.signature import Tensor

KEPT_SINGLE = ("scores", "emissions", "attention", "words", "sentences")
"""Outputs that are float32 in every precision: sums over a vocabulary need it, hosts reckon on with emissions, and
people read attention, at whatever level."""


@dataclass(frozen=True)
class Plan:
    """One precision.

    Attributes:
        provider: the hardware it is meant for.
        tolerance: of its golden outputs, wherever they are reproduced. fp32 and fp16 are held against PyTorch's
            numbers. int8 is held against its own: another processor's last bit tips a rounding now and then, which
            moved log-probabilities by up to 0.08 where noise of 1e-6 was put on a step's inputs.
    """

    provider: Literal["any", "cpu", "cuda"]
    tolerance: float


PLANS: dict[Precision, Plan] = {
    "fp32": Plan("any", 1e-4),
    "int8": Plan("cpu", 0.25),
    "fp16": Plan("cuda", 0.1),
}


def stored(tensor: Tensor, precision: Precision) -> Tensor:
    """A declared tensor as the graphs of a precision hold it."""
    half = precision == "fp16" and tensor.dtype == "float32" and tensor.name not in KEPT_SINGLE
    return Tensor(name=tensor.name, dtype="float16" if half else tensor.dtype, axes=tensor.axes)
