"""Which of the waiting rows make the next batch: those that cost less together than each would alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import NamedTuple

from contract.signature import Tensor

Sizes = tuple[int, ...]


class Extent(NamedTuple):
    """How large a row is: its sizes along the axes of its tariff, and what it costs."""

    sizes: Sizes
    cost: int


class Tariff:
    """What a row costs: the sum over the inputs of the product of its sizes along their axes, at least 1 each.

    `axes` are the named axes of the inputs, in the order of a row's sizes.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        named = (str(axis) for tensor in tensors for axis in tensor.axes[1:] if isinstance(axis, str))
        self.axes = tuple(dict.fromkeys(named))
        self._constants = [prod(axis for axis in tensor.axes[1:] if isinstance(axis, int)) for tensor in tensors]
        self._factors = [
            [self.axes.index(str(axis)) for axis in tensor.axes[1:] if isinstance(axis, str)] for tensor in tensors
        ]

    def extent(self, named: Mapping[str, int]) -> Extent:
        """Extent of a row of these sizes, by axis; what is empty is padded to 1."""
        sizes = tuple([max(1, named[axis]) for axis in self.axes])
        return Extent(sizes, self._cost(sizes))

    def joined(self, one: Extent, other: Extent) -> Extent:
        """Extent of each of two rows when they are padded to each other."""
        sizes = tuple(map(max, one.sizes, other.sizes))
        return one if sizes == one.sizes else Extent(sizes, self._cost(sizes))

    def padded(self, rows: Iterable[Extent]) -> Extent:
        """Extent of each of several rows when all are padded to each other."""
        return reduce(self.joined, rows)

    def _cost(self, sizes: Sizes) -> int:
        total = 0
        for constant, factors in zip(self._constants, self._factors, strict=True):
            term = constant
            for factor in factors:
                term *= sizes[factor]
            total += term
        return total


@dataclass(frozen=True)
class Bounds:
    """How large a batch may be, in rows and in cost, and what a run costs beside its rows, in rows."""

    rows: int
    cost: int
    run_rows: float


def cut_batch(waiting: Sequence[Extent], tariff: Tariff, bounds: Bounds) -> list[int]:
    """Indices of a batch among the rows that wait, shortest first. The first of them is always in it.

    It grows from that row by the next shorter or longer one, whichever saves more, as long as padding the whole batch
    costs no more than a run of that one alone. Larger than the bounds is only a batch of one row.
    """
    order = sorted(range(len(waiting)), key=lambda index: waiting[index].cost)
    low = order.index(0)
    high = low + 1
    padded = waiting[0]
    while (rows := high - low) < bounds.rows:
        best, most = None, 0.0
        for place in (low - 1, high):
            if not 0 <= place < len(order):
                continue
            row = waiting[order[place]]
            joint = tariff.joined(padded, row)
            apart = (rows + bounds.run_rows) * padded.cost + (1 + bounds.run_rows) * row.cost
            saved = apart - (rows + 1 + bounds.run_rows) * joint.cost
            if saved >= most and (rows + 1) * joint.cost <= bounds.cost:
                best, most = (place, joint), saved
        if best is None:
            break
        place, padded = best
        low, high = min(low, place), max(high, place + 1)
    return order[low:high]
