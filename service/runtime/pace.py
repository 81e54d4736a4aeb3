"""How many newcomers are encoded between two steps, so that those who run do not wait for them for long."""

from __future__ import annotations

_RISE = 0.1
"""Of the way from the estimate to a slower run: one that was interrupted tells little."""


class Pace:
    """Follows what encoding takes beside a step.

    Between two steps, newcomers are encoded for `stall` seconds, or for as long as the last step took where that is
    more: at least one of them, at most `most`. A sentence takes well below a millisecond and a picture ten, so that no
    number of rows would suit both.
    """

    def __init__(self, stall: float, most: int) -> None:
        self._stall = stall
        self._most = most
        self._row = 0.0
        self._step = 0.0

    @property
    def rows(self) -> int:
        """How many newcomers may be encoded before the next step."""
        allowed = max(self._stall, self._step)
        if self._row * self._most <= allowed:
            return self._most
        return max(1, int(allowed / self._row))

    def encoded(self, rows: int, seconds: float) -> None:
        """So many rows were encoded at once."""
        row = seconds / rows
        self._row = row if not self._row or row < self._row else self._row + _RISE * (row - self._row)

    def stepped(self, seconds: float) -> None:
        """The live rows took a step."""
        self._step = seconds
