"""Rows of one declared tensor in one flat buffer of fixed address.

Only the first rows are live, and only as much of the capacity axes as the longest live row needs: the same memory is
viewed at other dimensions when the capacity changes, since attention pays for capacity and not for what is filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.signature import Tensor

Capacities = Mapping[str, int]
Rows = NDArray[np.intp]
Extents = Mapping[str, NDArray[np.int64]]
"""How much of an axis is filled, for each row of a list."""

_WHOLE = slice(None)


def dimensions(tensor: Tensor, capacities: Capacities) -> tuple[int, ...]:
    """Size of each axis of one row at the given capacities."""
    return tuple(axis if isinstance(axis, int) else capacities[axis] for axis in tensor.axes[1:])


def row_bytes(tensor: Tensor, capacities: Capacities) -> int:
    """Bytes of one row at the given capacities."""
    return prod(dimensions(tensor, capacities)) * np.dtype(tensor.dtype).itemsize


class Storage(Protocol):
    """What the slots need of a tensor's memory, wherever it lives."""

    tensor: Tensor

    @property
    def address(self) -> int:
        """Address of the first row; it never changes."""

    @property
    def dims(self) -> tuple[int, ...]:
        """Size of each axis of one row at present."""

    def load(self, rows: Rows, values: Any) -> None:
        """Write `values [len(rows), …]`, whose capacity axes may be shorter than the present ones."""

    def fill(self, rows: Rows, value: int) -> None:
        """Set whole rows to one value."""

    def copy(self, destination: Rows, source: Rows, used: Extents) -> None:
        """Copy rows; of an axis named in `used`, only so much of each. No row is both a destination and a source."""

    def resize(self, live: int, capacities: Capacities) -> None:
        """View the memory at other capacities, keeping the first `live` rows."""


class CpuStorage:
    """Storage in host memory."""

    def __init__(self, tensor: Tensor, slots: int, limits: Capacities) -> None:
        self.tensor = tensor
        self._slots = slots
        self._axes = [str(axis) for axis in tensor.axes[1:]]
        # Zeroed pages are finite numbers and cost nothing until they are touched.
        self._flat = np.zeros(slots * prod(dimensions(tensor, limits)), dtype=np.dtype(tensor.dtype))
        self._view = self._at(dimensions(tensor, limits))

    @property
    def address(self) -> int:
        return int(self._flat.ctypes.data)

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(self._view.shape[1:])

    def load(self, rows: Rows, values: Any) -> None:
        sizes: tuple[int, ...] = values.shape[1:]
        self._view[rows, *(slice(size) for size in sizes)] = values

    def fill(self, rows: Rows, value: int) -> None:
        self._view[rows] = value

    def copy(self, destination: Rows, source: Rows, used: Extents) -> None:
        view = self._view
        # Row by row: NumPy would gather into a temporary first, and the filled part differs from row to row.
        for index, (to, origin) in enumerate(zip(destination.tolist(), source.tolist(), strict=True)):
            part = [slice(used[axis][index]) if axis in used else _WHOLE for axis in self._axes]
            view[to, *part] = view[origin, *part]

    def resize(self, live: int, capacities: Capacities) -> None:
        dims = dimensions(self.tensor, capacities)
        if dims == self.dims:
            return
        kept = [slice(min(old, new)) for old, new in zip(self.dims, dims, strict=True)]
        rows = self._view[:live, *kept].copy()
        self._view = self._at(dims)
        self._view[:live, *kept] = rows

    def _at(self, dims: tuple[int, ...]) -> Any:
        return self._flat[: self._slots * prod(dims)].reshape(self._slots, *dims)
