"""What the service is doing: loading, ready, draining or failed; and how many requests it is working on."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.catalogue import Catalogue


class Stage(enum.Enum):
    """Where a service stands in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Cohort:
    """The requests that came while one catalogue was served: no other request asks anything of its models."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """A request has come."""
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """A request has its reply."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    async def done(self) -> None:
        """Wait until every request has its reply."""
        await self._idle.wait()


class Life:
    """Shared by the process's life cycle, which moves it on, and the HTTP face, which asks it. Event loop only."""

    def __init__(self) -> None:
        self.stage = Stage.LOADING
        self._cohort = Cohort()
        self._earlier: set[Cohort] = set()
        self._catalogue: Catalogue | None = None

    @property
    def in_flight(self) -> int:
        """Requests without a reply yet."""
        return sum(cohort.in_flight for cohort in (self._cohort, *self._earlier))

    @property
    def loaded(self) -> bool:
        """Whether there are models."""
        return self._catalogue is not None

    @property
    def catalogue(self) -> Catalogue:
        """The loaded models; only while there are any."""
        assert self._catalogue is not None, "no request reaches a model before the models are loaded"
        return self._catalogue

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        return self.stage is Stage.READY

    @property
    def ending(self) -> bool:
        """Whether no request will be taken ever again."""
        return self.stage is Stage.DRAINING

    @property
    def alive(self) -> bool:
        """Whether it works, or may come to. While it drains, engines may have come to their regular end."""
        if self.stage is Stage.READY:
            return self.catalogue.alive
        return self.stage is not Stage.FAILED

    def start(self, catalogue: Catalogue) -> None:
        """Every model is loaded and warmed up: take requests, unless the end has come meanwhile."""
        self._catalogue = catalogue
        if self.stage is Stage.LOADING:
            self.stage = Stage.READY

    def fail(self) -> None:
        """The models could not be loaded."""
        self.stage = Stage.FAILED

    def enter(self) -> Cohort:
        """A request has come; what is returned is left again when it has its reply."""
        self._cohort.enter()
        return self._cohort

    async def switch(self, catalogue: Catalogue) -> None:
        """Serve from other models at once; returns when no request is at work on the earlier ones."""
        earlier, self._cohort = self._cohort, Cohort()
        self._catalogue = catalogue
        self._earlier.add(earlier)
        await earlier.done()
        self._earlier.discard(earlier)

    async def drain(self, grace: float) -> bool:
        """Refuse new requests, wait until the accepted ones are done; False where `grace` seconds were not enough."""
        self.stage = Stage.DRAINING
        try:
            async with asyncio.timeout(grace):
                for cohort in (self._cohort, *self._earlier):
                    await cohort.done()
        except TimeoutError:
            return False
        return True
