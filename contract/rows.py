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
        ValueError: two tensors disagree about an axis, or one has not the number of axes declared.
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
            if sizes.setdefault(str(axis), size) != size:
                raise ValueError(f"{tensor.name!r} has size {size} along {axis!r}, another input {sizes[str(axis)]}")
    return sizes


def pad_rows(tensors: Sequence[Tensor], rows: Sequence[Row]) -> dict[str, Array]:
    """One batch of rows, padded with zeros to the longest; a scalar takes the largest of its values."""
    batch: dict[str, Array] = {}
    for tensor in tensors:
        arrays = [np.asarray(row[tensor.name]) for row in rows]
        if not tensor.axes:
            batch[tensor.name] = np.asarray(max(int(array) for array in arrays), dtype=tensor.dtype)
        elif not arrays[0].ndim:
            batch[tensor.name] = np.array(arrays, dtype=tensor.dtype)
        else:
            longest = np.max([array.shape for array in arrays], axis=0)
            padded = np.zeros((len(arrays), *longest), dtype=tensor.dtype)
            for place, array in zip(padded, arrays, strict=True):
                place[tuple(map(slice, array.shape))] = array
            batch[tensor.name] = padded
    return batch


def split_rows(
    tensors: Sequence[Tensor], batch: Mapping[str, Array], sizes: Sequence[Mapping[str, int]]
) -> list[dict[str, Array]]:
    """The rows of a batch of outputs, each cut to its own `axis_sizes`; axes that it does not name stay whole."""
    return [
        {
            tensor.name: batch[tensor.name][row][tuple(slice(own.get(str(axis))) for axis in tensor.axes[1:])]
            for tensor in tensors
        }
        for row, own in enumerate(sizes)
    ]
