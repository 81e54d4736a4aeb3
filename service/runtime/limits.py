"""What a bundle's limits let through, and a row within them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contract.manifest import Limits
from contract.rows import Array, Row, axis_sizes
from contract.signature import Tensor
from service.runtime.errors import InputTooLongError


def check_limits(tensors: Sequence[Tensor], row: Row, limits: Limits) -> dict[str, int]:
    """Sizes of the named axes of a row of inputs.

    Raises:
        InputTooLongError: one of them is above its limit.
    """
    sizes = axis_sizes(tensors, row)
    for axis, size in sizes.items():
        limit = getattr(limits, axis, None)
        if limit is not None and size > limit:
            raise InputTooLongError(size, limit, axis)
    return sizes


def sample_row(tensors: Sequence[Tensor], limits: Limits, longest: int | None = None) -> dict[str, Array]:
    """A row of ones, which are good for everything: ids, lengths, counts and pixels.

    Its axes are as large as the limits allow, or `longest` where that is less.
    """

    def size(axis: str) -> int:
        return limits.of(axis) if longest is None else min(longest, limits.of(axis))

    return {
        tensor.name: np.ones([axis if isinstance(axis, int) else size(axis) for axis in tensor.axes[1:]], tensor.dtype)
        for tensor in tensors
    }
