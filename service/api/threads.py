"""Threads for what would hold up the event loop, few of each kind: they take neither all cores nor all memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.runtime.errors import DeadlineExceededError

ResultT = TypeVar("ResultT")


class Threads:
    """So many threads for one kind of work; who comes while all are busy waits."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, name)

    async def run(self, call: Callable[[], ResultT], deadline: float) -> ResultT:
        """What a call returns. `deadline` is a `time.monotonic()` instant.

        Raises:
            DeadlineExceededError: it passed; a call that had not begun never does.
        """
        working = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await working
        except TimeoutError:
            raise DeadlineExceededError from None


EXPLAINING = Threads(1, "explain")
"""One at a time: an attention map is for looking at, and must not take the cores from the work."""
TUNES = Threads(2, "tunes")
"""Two: each waits for a program that plays a tune, for some 30 ms."""
PICTURES = Threads(2, "pictures")
"""Two: a decoder may take nearly half a gigabyte for the largest picture there may be (`contract.images`)."""
