"""Memory that long bodies may take, all of them together."""

from __future__ import annotations

from service.api.errors import ProblemError


class Budget:
    """So many bytes, shared by the requests that are being received or worked on. Event loop only."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size

    def take(self, size: int) -> None:
        """Have some of it.

        Raises:
            ProblemError: there is not so much left.
        """
        if size > self._left:
            held = self._size - self._left
            raise ProblemError("queue-full", f"{held} bytes of other requests' pictures are being held: retry later")
        self._left -= size

    def give(self, size: int) -> None:
        """Give it back."""
        self._left += size
