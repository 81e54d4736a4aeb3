"""A request between HTTP and the engine: items, each of some rows, as one flat list; and back."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.types import Receive

from service.api.context import CURRENT
from service.api.threads import EXPLAINING, Threads
from service.api.waiting import gather
from service.kinds import Model
from service.runtime.errors import DeadlineExceededError, QueueFullError
from service.settings import Settings
from service.tasks.errors import BadOptionError, TooManySentencesError
from service.tasks.sampling import of_item
from service.tasks.work import Task, Work

_INLINE_LENGTH = 4_000
"""Up to so many characters or ids, reading them is quicker than handing them to a thread and back."""
_groups = itertools.count(1)

ItemT = TypeVar("ItemT", bound=Sized)
OptionsT = TypeVar("OptionsT")
RequestT = TypeVar("RequestT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")
WorkT = TypeVar("WorkT")


@dataclass(frozen=True)
class Reading:
    """Reading items that must never be read on the event loop: on these threads, until then, and at most so many."""

    threads: Threads
    deadline: float
    most: int


@dataclass(frozen=True)
class Job(Generic[RequestT, OutcomeT, ResultT]):
    """One request's work, item by item. `long` work is done on a thread, so that others are served meanwhile."""

    model: Model[Task[Any, Any, RequestT, OutcomeT, ResultT]]
    works: list[Work[RequestT, OutcomeT, ResultT]]
    long: bool

    @classmethod
    async def prepare(
        cls,
        model: Model[Task[ItemT, OptionsT, RequestT, OutcomeT, ResultT]],
        items: list[ItemT],
        options: OptionsT,
        field: str,
        settings: Settings,
        reading: Reading | None = None,
    ) -> Job[RequestT, OutcomeT, ResultT]:
        """Read a request's items; `field` of the body held them.

        Raises:
            RefusalError: an item or an option is not taken, or they are too many, or the deadline passed.
        """
        most = reading.most if reading else settings.max_items
        if len(items) > most:
            raise BadOptionError(f"{len(items)} items, the limit is {most}: send fewer at a time", field)
        room = model.engine.room
        if room < len(items) <= settings.max_sentences:
            # Before they are read, which costs more than all else of a refusal; most items have a row at least.
            raise QueueFullError(len(items), room)

        def read() -> tuple[list[Work[RequestT, OutcomeT, ResultT]], float]:
            started = time.perf_counter()
            fields = [field] if len(items) == 1 else [f"{field}.{index}" for index in range(len(items))]
            works = [
                model.task.read(item, of_item(options, index), name)
                for index, (item, name) in enumerate(zip(items, fields, strict=True))
            ]
            return works, time.perf_counter() - started

        long = reading is None and sum(map(len, items)) > _INLINE_LENGTH
        if reading is not None:
            works, seconds = await reading.threads.run(read, reading.deadline)
        else:
            works, seconds = await asyncio.to_thread(read) if long else read()
        job = cls(model, works, long)
        job._check(field, settings)
        model.metrics.preprocessed(seconds, sum(work.size for work in works))
        return job

    def requests(self, deadline: float) -> list[RequestT]:
        """The engine's requests. `deadline` is a `time.monotonic()` instant."""
        group = next(_groups)
        return [request for work in self.works for request in work.requests(deadline, group)]

    async def results(self, outcomes: list[OutcomeT], deadline: float) -> list[ResultT]:
        """A result for each item, from what became of all requests in order.

        Raises:
            DeadlineExceededError: the deadline passed over an explanation.
        """
        CURRENT.get().outcomes = outcomes
        started = time.perf_counter()
        following = iter(outcomes)
        parts = [list(itertools.islice(following, work.rows)) for work in self.works]

        def write() -> list[ResultT]:
            return [work.result(part) for work, part in zip(self.works, parts, strict=True)]

        def explain() -> list[ResultT]:
            return [_in_time(deadline, work).result(part) for work, part in zip(self.works, parts, strict=True)]

        if any(work.explains for work in self.works):
            results = await EXPLAINING.run(explain, deadline)
        else:
            results = await asyncio.to_thread(write) if self.long else write()
        self.model.metrics.postprocessed(time.perf_counter() - started)
        return results

    async def run(self, receive: Receive, deadline: float) -> list[ResultT]:
        """Have it done: a result for each item.

        Raises:
            RefusalError: the engine refused or failed a row, or the deadline passed.
            ClientGoneError: nobody waits for it any more.
        """
        outcomes = await gather(self.model.task.engine, self.requests(deadline), receive, deadline)
        return await self.results(outcomes, deadline)

    def _check(self, field: str, settings: Settings) -> None:
        rows = sum(work.rows for work in self.works)
        if rows > settings.max_sentences:
            raise TooManySentencesError(rows, settings.max_sentences, field)
        explained = sum(work.explains for work in self.works)
        if explained > settings.max_explained_items:
            limit = settings.max_explained_items
            raise BadOptionError(f"{explained} items to explain, the limit is {limit}: send fewer at a time", "explain")


def _in_time(deadline: float, work: WorkT) -> WorkT:
    """The work, unless nobody waits for it any more: others wait for the thread."""
    if time.monotonic() > deadline:
        raise DeadlineExceededError
    return work
