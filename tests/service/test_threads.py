"""Work that is kept off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from service.api.budget import Budget
from service.api.errors import ProblemError
from service.api.threads import Threads
from service.runtime.errors import DeadlineExceededError


async def test_no_more_is_done_at_once_than_there_are_threads() -> None:
    threads = Threads(2, "test")
    lock, together, most = threading.Lock(), 0, 0
    met = threading.Barrier(2, timeout=5)

    def work() -> int:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        met.wait()
        with lock:
            together -= 1
        return threading.get_ident()

    places = await asyncio.gather(*(threads.run(work, time.monotonic() + 5) for _ in range(8)))
    assert most == 2
    assert len(set(places)) == 2
    assert threading.get_ident() not in places


async def test_what_waits_past_its_deadline_is_never_begun() -> None:
    threads = Threads(1, "test")
    release = threading.Event()
    begun: list[str] = []
    first = asyncio.ensure_future(threads.run(release.wait, time.monotonic() + 5))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceededError):
        await threads.run(lambda: begun.append("late"), time.monotonic() + 0.01)
    release.set()
    assert await first
    await threads.run(lambda: begun.append("after"), time.monotonic() + 5)
    assert begun == ["after"]


async def test_an_error_is_that_of_the_call() -> None:
    with pytest.raises(ValueError, match="broken"):
        await Threads(1, "test").run(lambda: int("broken"), time.monotonic() + 5)


def test_a_budget_is_shared_and_given_back() -> None:
    budget = Budget(10)
    budget.take(6)
    with pytest.raises(ProblemError, match="6 bytes of other requests' pictures are being held") as caught:
        budget.take(5)
    assert caught.value.kind.slug == "queue-full"
    budget.take(4)
    budget.give(10)
    budget.take(10)
