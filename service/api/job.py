"""A request between HTTP and the engine: items, each of some rows, as one flat list; and back."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.types import Receive

from service.api.waiting import gather
from service.kinds import Model
from service.runtime.errors import DeadlineExceededError
from service.settings import Settings
from service.tasks.errors import BadOptionError, TooManySentencesError
from service.tasks.work import Task, Work

_INLINE_LENGTH = 4_000
"""Up to so many characters or ids, reading them is quicker than handing them to a thread and back."""
_EXPLAINING = ThreadPoolExecutor(1, "explain")
"""One at a time: an attention map is for looking at, and must not take the cores from the work."""
_groups = itertools.count(1)

ItemT = TypeVar("ItemT", bound=Sequence[Any])
OptionsT = TypeVar("OptionsT")
RequestT = TypeVar("RequestT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")
WorkT = TypeVar("WorkT")


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
    ) -> Job[RequestT, OutcomeT, ResultT]:
        """Read a request's items; `field` of the body held them.

        Raises:
            RefusalError: an item or an option is not taken, or they are too many.
        """
        started = time.perf_counter()
        if len(items) > settings.max_items:
            raise BadOptionError(f"{len(items)} items, the limit is {settings.max_items}: send fewer at a time", field)

        def read() -> list[Work[RequestT, OutcomeT, ResultT]]:
            if len(items) == 1:
                return [model.task.read(items[0], options, field)]
            return [model.task.read(item, options, f"{field}.{index}") for index, item in enumerate(items)]

        long = sum(map(len, items)) > _INLINE_LENGTH
        job = cls(model, await asyncio.to_thread(read) if long else read(), long)
        job._check(field, settings)
        model.metrics.preprocessed(time.perf_counter() - started, sum(work.size for work in job.works))
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
        started = time.perf_counter()
        following = iter(outcomes)
        parts = [list(itertools.islice(following, work.rows)) for work in self.works]

        def write() -> list[ResultT]:
            return [work.result(part) for work, part in zip(self.works, parts, strict=True)]

        def explain() -> list[ResultT]:
            return [_in_time(deadline, work).result(part) for work, part in zip(self.works, parts, strict=True)]

        if any(work.explains for work in self.works):
            results = await _before(deadline, asyncio.get_running_loop().run_in_executor(_EXPLAINING, explain))
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


async def _before(deadline: float, working: asyncio.Future[ResultT]) -> ResultT:
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await working
    except TimeoutError:
        raise DeadlineExceededError from None
