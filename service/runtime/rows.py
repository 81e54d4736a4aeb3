"""What the host knows about each live row, as arrays over the slots."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from service.runtime.search import Floats, Ints
from service.runtime.stepper import Stepper
from service.runtime.storage import Rows


class RowTable:
    """Columns by slot. `tokens` and `positions` are what the next step reads; rows outside the prefix hold 0 there.

    `history [slots, target]` holds the ids chosen at each position from `starts` on; `totals` their log-probabilities'
    sum; `ends` the position at which a row is cut off; `sizes` its size along each axis of its inputs on which what it
    keeps depends.
    """

    def __init__(self, stepper: Stepper, count: int, target: int, axes: Iterable[str]) -> None:
        self.tokens = stepper.token_ids
        self.positions = stepper.positions
        self.totals: Floats = np.zeros(count, dtype=np.float64)
        self.starts: Ints = np.zeros(count, dtype=np.int64)
        self.ends: Ints = np.zeros(count, dtype=np.int64)
        self.sizes: dict[str, Ints] = {axis: np.zeros(count, dtype=np.int64) for axis in axes}
        self.history: Ints = np.zeros((count, target), dtype=np.int64)
        self._columns = (self.tokens, self.positions, self.totals, self.starts, self.ends, *self.sizes.values())

    @property
    def filled(self) -> dict[str, Ints]:
        """How much of each axis a row has filled, by slot."""
        return {**self.sizes, "target": self.positions}

    def written(self, row: int) -> Ints:
        """The ids that a row has chosen so far."""
        return self.history[row, self.starts[row] : self.positions[row]]

    def copy(self, destination: Rows, source: Rows, used: int) -> None:
        """Copy rows, of their history the first `used` ids."""
        for column in self._columns:
            column[destination] = column[source]
        self.history[destination, :used] = self.history[source, :used]

    def vacate(self, start: int, end: int) -> None:
        """Rows of a shortened prefix stand at position 0 again."""
        self.positions[start:end] = 0
        self.tokens[start:end] = 0
