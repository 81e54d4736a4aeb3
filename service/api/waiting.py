"""From the engine's thread to the event loop, with an eye on the client and the clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import Future as EngineFuture
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.types import Receive

from service.api.errors import ClientGoneError
from service.runtime.errors import DeadlineExceededError, ShuttingDownError
from service.runtime.requests import GenerateRequest, Generation, Ticket


class Engine(Protocol):
    """What takes requests."""

    def submit(self, request: GenerateRequest) -> Ticket: ...


@dataclass(frozen=True)
class Progress:
    """What happened to one of several requests: ids that have become certain, or, at its end, its result."""

    index: int
    ids: list[int]
    generation: Generation | None = None


async def gather(
    engine: Engine, requests: Sequence[GenerateRequest], receive: Receive, deadline: float
) -> list[Generation]:
    """Results of all requests, in order. None of them is left running when this ends early.

    Raises:
        RefusalError: the engine refused or failed one of them, or the deadline passed.
        ClientGoneError: nobody waits for them any more.
    """
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    lock = threading.Lock()
    remaining = len(requests)

    def settle(error: Exception | None = None) -> None:
        if finished.done():
            return
        if error is None:
            finished.set_result(None)
        else:
            finished.set_exception(error)

    def on_done(future: EngineFuture[Generation]) -> None:
        nonlocal remaining
        with lock:
            remaining -= 1
            last = remaining == 0
        # One call for a whole request: waking the loop costs more than a short sentence's book-keeping.
        if last or future.cancelled() or future.exception() is not None:
            loop.call_soon_threadsafe(settle)

    with _submitted(engine, requests) as tickets, _watched(receive, deadline, settle):
        for ticket in tickets:
            ticket.future.add_done_callback(on_done)
        await finished
        failed = [ticket for ticket in tickets if ticket.future.done() and _error(ticket) is not None]
        return [_result(ticket) for ticket in failed or tickets]


async def follow(
    engine: Engine, requests: Sequence[GenerateRequest], receive: Receive, deadline: float
) -> AsyncGenerator[Progress]:
    """What happens to the requests, as it happens. Errors are those of `gather`, refusals at the first step."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Progress | Exception | int] = asyncio.Queue()

    def post(event: Progress | int) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    def tokens_to(index: int) -> Callable[[list[int]], None]:
        return lambda ids: post(Progress(index, ids))

    def end_of(index: int) -> Callable[[EngineFuture[Generation]], None]:
        return lambda _: post(index)

    watched = [replace(request, on_tokens=tokens_to(index)) for index, request in enumerate(requests)]
    with _submitted(engine, watched) as tickets, _watched(receive, deadline, events.put_nowait):
        for index, ticket in enumerate(tickets):
            ticket.future.add_done_callback(end_of(index))
        running = len(tickets)
        while running:
            event = await events.get()
            if isinstance(event, Exception):
                raise event
            if isinstance(event, int):
                running -= 1
                event = Progress(event, [], _result(tickets[event]))
            yield event


@contextmanager
def _submitted(engine: Engine, requests: Sequence[GenerateRequest]) -> Iterator[list[Ticket]]:
    """Submit all or none; drop whatever is not done on the way out."""
    tickets: list[Ticket] = []
    try:
        for request in requests:
            tickets.append(engine.submit(request))  # noqa: PERF401  # those before a refusal must be dropped
        yield tickets
    finally:
        for ticket in tickets:
            if not ticket.future.done():
                ticket.cancel()


@contextmanager
def _watched(receive: Receive, deadline: float, interrupt: Callable[[Exception], None]) -> Iterator[None]:
    """Interrupt when the client goes away or the deadline passes."""
    loop = asyncio.get_running_loop()
    client = loop.create_task(_disconnect(receive))
    client.add_done_callback(lambda task: None if task.cancelled() else interrupt(ClientGoneError()))
    timer = loop.call_later(max(0.0, deadline - time.monotonic()), lambda: interrupt(DeadlineExceededError()))
    try:
        yield
    finally:
        client.cancel()
        timer.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error(ticket: Ticket) -> BaseException | None:
    return CancelledError() if ticket.future.cancelled() else ticket.future.exception()


def _result(ticket: Ticket) -> Generation:
    try:
        return ticket.future.result()
    except CancelledError:
        # Nobody else cancels a request that is waited for.
        raise ShuttingDownError from None
