"""Requests that move in step: same beam width, same number of rows each."""

from __future__ import annotations

import numpy as np

from service.runtime.draws import Draws
from service.runtime.search import Bools, Floats, Ints
from service.runtime.storage import Rows


class Lane:
    """`rows [requests, live]` are the slots each request stands on, best beam first; `owners [requests]` say whose.

    `born` holds the tokens and totals `[requests, width]` of beams that have had their first step and stand on one row
    still; `draws` says how requests draw that do.
    """

    def __init__(self, live: int, width: int, draws: Draws | None = None) -> None:
        self.live = live
        self.width = width
        self.draws = draws
        self.born: tuple[Ints, Floats] | None = None
        self.clear()

    def __len__(self) -> int:
        return len(self.owners)

    def clear(self) -> None:
        """Forget every request."""
        self.rows: Rows = np.zeros((0, self.live), dtype=np.int64)
        self.owners: Ints = np.zeros(0, dtype=np.int64)
        self.born = None

    def add(self, rows: Rows, owners: Ints) -> None:
        """Append requests."""
        self.rows = np.concatenate([self.rows, rows])
        self.owners = np.concatenate([self.owners, owners])

    def remove(self, which: Bools) -> Rows:
        """Take requests out; returns the rows they stood on."""
        left = self.rows[which].ravel()
        self.rows, self.owners = self.rows[~which], self.owners[~which]
        if self.draws is not None:
            self.draws.remove(which)
        if self.born is not None:
            self.born = self.born[0][~which], self.born[1][~which]
        return left
