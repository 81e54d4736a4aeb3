"""Three rules by which waiting requests come into a running batch, over the same engine.

*Continuous* is the engine's own. *Leaving*: finished rows leave, but nobody comes in before the batch is empty.
*Dragging*: rows stay until the longest of their batch is done, as where a batch is a tensor of fixed shape.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.runtime.bundle import Bundle
from service.runtime.decoding import DecodingEngine, EngineSettings
from service.runtime.newcomers import Ticket
from service.runtime.requests import GenerateRequest, Generation


@dataclass(frozen=True)
class Measured(GenerateRequest):
    """A request of which it is known how many steps it takes: a dragging batch must know to drag on."""

    steps: int = 1


class Continuous(DecodingEngine):
    """The engine, whose loop is turned by the caller instead of a thread; `start` is not called."""

    def turn(self) -> list[Ticket]:
        """Admit and step once; returns the requests that got their first token."""
        self._drop_unwanted()
        self._admit()
        fresh = list(self._fresh)
        if self._running:
            self._step()
        return fresh

    @property
    def outstanding(self) -> int:
        """Requests that are queued or running."""
        return self.queue_depth + len(self._running)


class Leaving(Continuous):
    """Admits only when nothing runs."""

    def _admit(self) -> None:
        if not self._running:
            super()._admit()


class Dragging(Leaving):
    """Lets no row end before the longest of its batch: there is no end token, but a length that all are given."""

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        special = bundle.manifest.special_ids.model_copy(update={"eos": None})
        super().__init__(replace(bundle, manifest=bundle.manifest.model_copy(update={"special": special})), settings)

    def _admit(self) -> None:
        batch = self._fitting(self._intake.upcoming(self.settings.max_encode_rows))
        if batch and not self._running:
            longest = max(_steps(ticket) for ticket in batch)
            for ticket in batch:
                search = replace(ticket.request.search, max_length=longest)
                ticket.request = replace(ticket.request, search=search)
            super()._admit()


POLICIES: dict[str, type[Continuous]] = {"continuous": Continuous, "leaving": Leaving, "dragging": Dragging}
STATIC = ("leaving", "dragging")


def run_waiting(engine: Continuous, requests: Sequence[GenerateRequest], waiting: int) -> list[Generation]:
    """Decode all requests with so many submitted at any time, in their order."""
    left = deque(requests)
    tickets: list[Ticket] = []
    while left or engine.outstanding:
        while left and engine.outstanding < waiting:
            tickets.append(engine.submit(left.popleft()))
        engine.turn()
    return [ticket.future.result() for ticket in tickets]


def _steps(ticket: Ticket) -> int:
    assert isinstance(ticket.request, Measured)
    return ticket.request.steps
