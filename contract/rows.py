"""Rows of different sizes as one padded batch, and back: by axis names alone, the same in evaluation and in serving.

A row holds each tensor without the rows axis, at its own sizes; a scalar such as `k` is the row's own value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.signature import Tensor

Array = NDArray[Any]
Row = Mapping[str, Array]


def axis_sizes(tensors: Sequence[Tensor], row: Row) -> dict[str, int]:
    """Size of every named axis of a row; a scalar counts as the axis of its name.

    Raises:
        ValueError: two tensors disagree about an axis, or one has not the axes declared.
    """
    sizes: dict[str, int] = {}
    for tensor in tensors:
        array = row[tensor.name]
        if not tensor.axes:
            sizes[tensor.name] = int(array)
            continue
        if array.ndim != len(tensor.axes) - 1:
            raise ValueError(f"{tensor.name!r} has {array.ndim} axes in a row, declared are {tensor.axes}")
        for axis, size in zip(tensor.axes[1:], array.shape, strict=True):
            if isinstance(axis, int):
                if size != axis:
                    raise ValueError(f"{tensor.name!r} has sizes {array.shape} in a row, declared are {tensor.axes}")
            elif sizes.setdefault(axis, size) != size:
                raise ValueError(f"{tensor.name!r} has size {size} along {axis!r}, another input {sizes[axis]}")
    return sizes


def pad_rows(
    tensors: Sequence[Tensor], rows: Sequence[Row], least: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """One batch of rows, padded with zeros to the longest, or to the `least` size of an axis where that is more.

    A scalar takes the largest of its values, as if it were the axis of its name.
    """
    least = least or {}
    batch: dict[str, Array] = {}
    for tensor in tensors:
        dtype = np.dtype(tensor.dtype)
        arrays = [row[tensor.name] for row in rows]
        if not tensor.axes:
            largest = max(int(array) for array in arrays)
            batch[tensor.name] = np.asarray(max(largest, least.get(tensor.name, 0)), dtype=dtype)
        elif len(tensor.axes) == 1:
            batch[tensor.name] = np.array(arrays, dtype=dtype)
        else:
            batch[tensor.name] = _padded(arrays, [least.get(str(axis), 0) for axis in tensor.axes[1:]], dtype)
    return batch


def _padded(arrays: Sequence[Array], least: Sequence[int], dtype: np.dtype[Any]) -> Array:
    shape = [max(sizes) for sizes in zip(least, *(array.shape for array in arrays), strict=True)]
    padded = np.zeros((len(arrays), *shape), dtype=dtype)
    if len(shape) == 1:  # the usual case, which is worth its own line
        for index, array in enumerate(arrays):
            padded[index, : array.shape[0]] = array
    else:
        for place, array in zip(padded, arrays, strict=True):
            place[tuple(map(slice, array.shape))] = array
    return padded


def split_rows(
    tensors: Sequence[Tensor], batch: Mapping[str, Array], sizes: Sequence[Mapping[str, int]]
) -> list[dict[str, Array]]:
    """The first rows of a batch of outputs, each cut to its own `axis_sizes`; axes that these do not name stay whole.

    What comes back are views of the batch.
    """
    names = [tensor.name for tensor in tensors]
    columns = [_cut(tensor, batch[tensor.name], sizes) for tensor in tensors]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _cut(tensor: Tensor, array: Array, sizes: Sequence[Mapping[str, int]]) -> list[Array]:
    axes = [str(axis) for axis in tensor.axes[1:]]
    rows = list(array[: len(sizes)])
    if not any(axis in own for own in sizes[:1] for axis in axes):
        return rows
    return [row[tuple(slice(own.get(axis)) for axis in axes)] for row, own in zip(rows, sizes, strict=True)]
