"""Slot storage in CUDA memory.

Buffers are allocated by ONNX Runtime; rows are joined, moved and reordered by the CUDA runtime's own copies, which
`onnxruntime-gpu` needs anyway. A row is contiguous, so a copy along the capacity axis is one strided copy a row. Copies
run on the default stream and are awaited before the next step, since sessions run on streams of their own.
"""

from __future__ import annotations

import ctypes
from functools import cache
from math import prod
from typing import Any

import numpy as np

from contract.signature import Tensor
from service.runtime.session import OrtValue
from service.runtime.storage import Capacities, Extents, Rows, dimensions

_LIBRARIES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_INFER_DIRECTION = 4  # cudaMemcpyDefault: from the addresses


class CudaError(RuntimeError):
    """A CUDA call failed."""


@cache
def _runtime() -> ctypes.CDLL:
    """The CUDA runtime library, which the GPU build of ONNX Runtime has loaded already."""
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise CudaError(f"none of {', '.join(_LIBRARIES)} can be loaded: install onnxruntime-gpu with its [cuda] extra")


def _check(code: int, call: str) -> None:
    if code:
        raise CudaError(f"{call} failed with CUDA error {code}")


class CudaStorage:
    """Rows of one tensor in device memory; see `Storage`."""

    def __init__(self, tensor: Tensor, slots: int, limits: Capacities) -> None:
        self.tensor = tensor
        self._slots = slots
        self._dtype = np.dtype(tensor.dtype)
        size = slots * prod(dimensions(tensor, limits))
        self._value = OrtValue.ortvalue_from_shape_and_type([size], self._dtype, "cuda", 0)
        self._dims = dimensions(tensor, limits)
        _check(
            _runtime().cudaMemset(ctypes.c_void_p(self.address), 0, ctypes.c_size_t(size * self._dtype.itemsize)),
            "cudaMemset",
        )

    @property
    def address(self) -> int:
        """See `Storage`."""
        return int(self._value.data_ptr())

    @property
    def dims(self) -> tuple[int, ...]:
        """See `Storage`."""
        return self._dims

    def load(self, rows: Rows, values: Any) -> None:
        """See `Storage`; `values` is a host array or an `OrtValue` of any device."""
        if isinstance(values, np.ndarray):
            values = np.ascontiguousarray(values, dtype=self._dtype)
            base, dims = int(values.ctypes.data), values.shape[1:]
        else:
            base, dims = int(values.data_ptr()), tuple(values.shape()[1:])
        for index, row in enumerate(rows):
            self._copy_block(self.address, self._dims, int(row), base, dims, index, _shorter(dims, self._dims))
        self._wait()

    def fill(self, rows: Rows, value: int) -> None:
        """See `Storage`."""
        self.load(rows, np.full((len(rows), *self._dims), value, dtype=self._dtype))

    def copy(self, destination: Rows, source: Rows, used: Extents) -> None:
        """See `Storage`."""
        for index, (to, origin) in enumerate(zip(destination, source, strict=True)):
            part = [
                min(int(used[axis][index]), size) if isinstance(axis, str) and axis in used else size
                for axis, size in zip(self.tensor.axes[1:], self._dims, strict=True)
            ]
            self._copy_block(self.address, self._dims, int(to), self.address, self._dims, int(origin), part)
        self._wait()

    def resize(self, live: int, capacities: Capacities) -> None:
        """See `Storage`. Rows pass through a spare buffer, since the two views overlap."""
        dims = dimensions(self.tensor, capacities)
        if dims == self._dims:
            return
        if live:
            size = live * prod(self._dims)
            spare = OrtValue.ortvalue_from_shape_and_type([size], self._dtype, "cuda", 0)
            whole = ctypes.c_size_t(size * self._dtype.itemsize)
            target, origin = ctypes.c_void_p(int(spare.data_ptr())), ctypes.c_void_p(self.address)
            _check(_runtime().cudaMemcpy(target, origin, whole, _INFER_DIRECTION), "cudaMemcpy")
            for row in range(live):
                kept = _shorter(self._dims, dims)
                self._copy_block(self.address, dims, row, int(spare.data_ptr()), self._dims, row, kept)
            self._wait()
        self._dims = dims

    def _copy_block(
        self,
        target: int,
        target_dims: tuple[int, ...],
        target_row: int,
        origin: int,
        origin_dims: tuple[int, ...],
        origin_row: int,
        part: list[int],
    ) -> None:
        """Copy the leading `part` of one row. At most one axis is shorter than its dims: the capacity axis."""
        item = self._dtype.itemsize
        differing = [
            i for i, (a, b, p) in enumerate(zip(target_dims, origin_dims, part, strict=True)) if not a == b == p
        ]
        axis = differing[0] if differing else 0
        inner = prod(part[axis + 1 :]) * item
        sizes = (target_dims[axis] if target_dims else 1, origin_dims[axis] if origin_dims else 1)
        height = prod(part[:axis])
        width = (part[axis] if part else 1) * inner
        _check(
            _runtime().cudaMemcpy2DAsync(
                ctypes.c_void_p(target + target_row * prod(target_dims) * item),
                ctypes.c_size_t(sizes[0] * inner),
                ctypes.c_void_p(origin + origin_row * prod(origin_dims) * item),
                ctypes.c_size_t(sizes[1] * inner),
                ctypes.c_size_t(width),
                ctypes.c_size_t(height),
                _INFER_DIRECTION,
                None,
            ),
            "cudaMemcpy2DAsync",
        )

    @staticmethod
    def _wait() -> None:
        _check(_runtime().cudaStreamSynchronize(None), "cudaStreamSynchronize")


def _shorter(a: tuple[int, ...], b: tuple[int, ...]) -> list[int]:
    return [min(x, y) for x, y in zip(a, b, strict=True)]
