"""What a bundle's limits let through."""

from __future__ import annotations

from collections.abc import Sequence

from contract.manifest import Limits
from contract.rows import Row, axis_sizes
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
