"""The slots: each live row's statics and states, where the steps read and write them.

Rows join at the end of the live prefix; when one leaves, the last live row moves into the hole, so the live rows are
always a prefix and a step runs on it without gathering anything. States written *at position* or *circular* have one
storage, which a step binds as input and output; *replaced* states have two that swap at every step, because one buffer
bound to both gives silently wrong numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from contract.signature import GenerateSignature, Tensor
from service.runtime.storage import Capacities, Extents, Rows, Storage, row_bytes

StorageFactory = Callable[[Tensor, int, Capacities], Storage]


def capacity_axes(signature: GenerateSignature) -> tuple[str, ...]:
    """Axes of varying size of what a row keeps from step to step: `source`, say, of a memory, `target` of a cache."""
    kept = (*signature.statics, *signature.states)
    named = (axis for tensor in kept for axis in tensor.axes[1:] if isinstance(axis, str))
    return tuple(dict.fromkeys(named))


class Slots:
    """State of up to `count` rows of a generate model."""

    def __init__(self, signature: GenerateSignature, count: int, limits: Capacities, create: StorageFactory) -> None:
        self.signature = signature
        self.count = count
        self.limits = dict(limits)
        self.live = 0
        self._parity = 0
        self.capacities: dict[str, int] = dict(limits)
        self._statics = {t.name: create(t, count, limits) for t in signature.statics}
        self._states = {
            t.name: [create(t, count, limits) for _ in range(2 if t.write == "replaced" else 1)]
            for t in signature.states
        }
        for static in self._statics.values():
            if _counts(static.tensor):
                static.fill(np.arange(count), 1)

    @property
    def layout(self) -> tuple[int, ...]:
        """What a binding depends on beside its rows: the capacities, and which storage of a pair is read."""
        swaps = any(len(both) == 2 for both in self._states.values())
        return (self._parity if swaps else 0, *self.capacities.values())

    def inputs(self) -> list[tuple[Tensor, str, Storage]]:
        """Tensor, name and storage of every static and state that the next step reads."""
        statics = [(s.tensor, name, s) for name, s in self._statics.items()]
        return statics + [(s[0].tensor, name, s[self._parity % len(s)]) for name, s in self._states.items()]

    def outputs(self) -> list[tuple[Tensor, str, Storage]]:
        """Tensor, name and storage of every state that the next step writes."""
        return [
            (state, state.successor, self._states[state.name][(self._parity + 1) % len(self._states[state.name])])
            for state in self.signature.states
        ]

    def swap(self) -> None:
        """After a step: what it wrote is what the next one reads."""
        self._parity ^= 1

    def resize(self, capacities: Mapping[str, int]) -> None:
        """Change the capacity of axes, keeping every live row."""
        self.capacities.update(capacities)
        for storage in self._current():
            storage.resize(self.live, self.capacities)
        for other in self._spare():
            other.resize(0, self.capacities)

    def join(self, values: Mapping[str, Any], count: int) -> Rows:
        """Add `count` rows that start from encode outputs and handed-on inputs; returns their slots."""
        rows = np.arange(self.live, self.live + count)
        self.live += count
        for name, static in self._statics.items():
            static.load(rows, values[name])
        for state in self.signature.states:
            storage = self._states[state.name][self._parity % len(self._states[state.name])]
            if state.initial is not None:
                storage.load(rows, values[state.initial])
            elif state.write == "replaced" or state.write == "circular":
                storage.fill(rows, 0)
        return rows

    def grow(self, parents: Rows, used: Extents) -> Rows:
        """Add a copy of each parent row; returns the new slots."""
        rows = np.arange(self.live, self.live + len(parents))
        self.live += len(parents)
        for storage in self._current():
            storage.copy(rows, parents, used)
        return rows

    def reorder(self, destination: Rows, source: Rows, used: Extents) -> None:
        """Overwrite the states of rows by those of other rows of the same request; the rest is equal already."""
        for state in self.signature.states:
            if state.write != "unchanged":
                self._states[state.name][self._parity % len(self._states[state.name])].copy(destination, source, used)

    def leave(self, rows: Rows, filled: Extents) -> tuple[Rows, Rows]:
        """Free rows; returns (holes, moved): the live row `moved[i]` now stands in slot `holes[i]`.

        `filled` says how much of an axis is filled, by slot.
        """
        remaining = self.live - len(rows)
        stays = np.ones(self.live, dtype=bool)
        stays[rows] = False
        holes = np.nonzero(~stays[:remaining])[0]
        moved = np.nonzero(stays[remaining:])[0] + remaining
        if len(holes):
            used = {axis: extents[moved] for axis, extents in filled.items()}
            for storage in self._current():
                storage.copy(holes, moved, used)
        vacated = np.arange(remaining, self.live)
        for static in self._statics.values():
            if _counts(static.tensor):
                static.fill(vacated, 1)
        self.live = remaining
        return holes, moved

    def _current(self) -> list[Storage]:
        return [storage for _, _, storage in self.inputs()]

    def _spare(self) -> list[Storage]:
        return [both[(self._parity + 1) % 2] for both in self._states.values() if len(both) == 2]


def bytes_per_slot(signature: GenerateSignature, limits: Capacities) -> int:
    """Memory of one slot at full capacity."""
    statics = sum(row_bytes(tensor, limits) for tensor in signature.statics)
    return statics + sum(
        row_bytes(state, limits) * (2 if state.write == "replaced" else 1) for state in signature.states
    )


def _counts(tensor: Tensor) -> bool:
    """Whether a static is one count a row (a length): rows outside the prefix hold 1, so that no row is empty."""
    return tensor.axes == ("rows",) and tensor.dtype in ("int64", "int32")
