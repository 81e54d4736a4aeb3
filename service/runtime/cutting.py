"""Which of the waiting rows make the next batch: those that cost less together than each would alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from contract.signature import Tensor

Sizes = tuple[int, ...]


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

    def sizes(self, named: Mapping[str, int]) -> Sizes:
        """A row's sizes by name, in order; what is empty is padded to 1."""
        return tuple([max(1, named[axis]) for axis in self.axes])

    def cost(self, sizes: Sizes) -> int:
        """Cost of one row, padded to `sizes`."""
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


def cut_batch(waiting: Sequence[Sizes], tariff: Tariff, bounds: Bounds) -> list[int]:
    """Indices of a batch among the rows that wait, shortest first. The first of them is always in it.

    It grows from that row by the next shorter or longer one, whichever saves more, as long as padding the whole batch
    costs no more than a run of that one alone. Larger than the bounds is only a batch of one row.
    """
    costs = [tariff.cost(sizes) for sizes in waiting]
    order = sorted(range(len(waiting)), key=costs.__getitem__)
    low = order.index(0)
    high = low + 1
    padded, price = waiting[0], costs[0]
    while (rows := high - low) < bounds.rows:
        best: tuple[float, bool, Sizes, int] | None = None
        for place, shorter in ((low - 1, True), (high, False)):
            if not 0 <= place < len(order):
                continue
            index = order[place]
            joint = padded if waiting[index] == padded else tuple(map(max, padded, waiting[index]))
            joint_price = price if joint == padded else tariff.cost(joint)
            apart = (rows + bounds.run_rows) * price + (1 + bounds.run_rows) * costs[index]
            saved = apart - (rows + 1 + bounds.run_rows) * joint_price
            if saved >= 0 and (rows + 1) * joint_price <= bounds.cost and (best is None or saved > best[0]):
                best = saved, shorter, joint, joint_price
        if best is None:
            break
        _, shorter, padded, price = best
        low, high = (low - 1, high) if shorter else (low, high + 1)
    return order[low:high]
