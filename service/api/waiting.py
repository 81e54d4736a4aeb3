"""From the engine's thread to the event loop, with an eye on the client and the clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import Future as EngineFuture
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from starlette.types import Receive

from service.api.errors import ClientGoneError
from service.runtime.errors import DeadlineExceededError, ShuttingDownError
from service.runtime.requests import GenerateRequest, Generation, Ticket
from service.tasks.work import Engine

RequestT = TypeVar("RequestT")
OutcomeT = TypeVar("OutcomeT")

_UNWATCHED_SECONDS = 0.25
"""A request that is done by then never pays for a task that waits for its client to go away."""


@dataclass(frozen=True)
class Progress:
    """What happened to one of several requests: ids that have become certain, or, at its end, its result."""

    index: int
    ids: list[int]
    generation: Generation | None = None


async def gather(
    engine: Engine[RequestT, OutcomeT], requests: Sequence[RequestT], receive: Receive, deadline: float
) -> list[OutcomeT]:
    """Results of all requests, in order. None of them is left running when this ends early.

    Raises:
        RefusalError: the engine refused or failed one of them, or the deadline passed.
        ClientGoneError: nobody waits for them any more.
    """
    if not requests:
        return []
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

    def on_done(future: EngineFuture[OutcomeT]) -> None:
        nonlocal remaining
        failed = future.cancelled() or future.exception() is not None
        with lock:
            # The first failure ends it, and so does the last result; what comes after a failure tells nobody anything.
            remaining = 0 if failed else remaining - 1
            over = remaining == 0
        # One call for a whole request: waking the loop costs more than a short sentence's book-keeping.
        if over:
            loop.call_soon_threadsafe(settle)

    with _Running(engine, requests, receive, deadline, settle) as tickets:
        for ticket in tickets:
            ticket.future.add_done_callback(on_done)
        await finished
        # Where one has failed, others may not be done: the failure is what is told.
        return [_result(ticket) for ticket in tickets if ticket.future.done()]


async def follow(
    engine: Engine[GenerateRequest, Generation],
    requests: Sequence[GenerateRequest],
    receive: Receive,
    deadline: float,
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
    with _Running(engine, watched, receive, deadline, events.put_nowait) as tickets:
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


class _Running(Generic[RequestT, OutcomeT]):
    """Requests in the engine, all or none, while somebody waits: on the way out, what is not done is dropped.

    `interrupt` is called when the client goes away or the deadline passes.
    """

    def __init__(
        self,
        engine: Engine[RequestT, OutcomeT],
        requests: Sequence[RequestT],
        receive: Receive,
        deadline: float,
        interrupt: Callable[[Exception], None],
    ) -> None:
        self._engine, self._requests = engine, requests
        self._receive, self._deadline, self._interrupt = receive, deadline, interrupt
        self._tickets: list[Ticket[OutcomeT]] = []
        self._client: asyncio.Task[None] | None = None

    def __enter__(self) -> list[Ticket[OutcomeT]]:
        try:
            for request in self._requests:
                self._tickets.append(self._engine.submit(request))
        except BaseException:
            self._drop()
            raise
        self._timer = self._at(min(self._deadline, time.monotonic() + _UNWATCHED_SECONDS), self._watch)
        return self._tickets

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._client is not None:
            self._client.cancel()
        self._drop()

    def _watch(self) -> None:
        self._client = asyncio.ensure_future(_disconnect(self._receive))
        self._client.add_done_callback(self._gone)
        self._timer = self._at(self._deadline, self._late)

    def _at(self, instant: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0.0, instant - time.monotonic()), act)

    def _drop(self) -> None:
        for ticket in self._tickets:
            if not ticket.future.done():
                ticket.cancel()

    def _gone(self, client: asyncio.Task[None]) -> None:
        if not client.cancelled():
            self._interrupt(ClientGoneError())

    def _late(self) -> None:
        self._interrupt(DeadlineExceededError())


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _result(ticket: Ticket[OutcomeT]) -> OutcomeT:
    try:
        return ticket.future.result()
    except CancelledError:
        # Nobody else cancels a request that is waited for.
        raise ShuttingDownError from None
