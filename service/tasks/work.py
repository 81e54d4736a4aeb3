"""What every task has in common: an item is read into work, the work asks the engine, and its answers become a result.

An item is what a request holds one of or a list of: a text, a session. Its work may need several rows of the model (a
sentence each), or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from service.runtime.requests import Ticket

ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
OptionsT_contra = TypeVar("OptionsT_contra", contravariant=True)
RequestT = TypeVar("RequestT")
RequestT_co = TypeVar("RequestT_co", covariant=True)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
OutcomeT = TypeVar("OutcomeT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Engine(Protocol[RequestT_contra, OutcomeT]):
    """What takes requests."""

    def submit(self, request: RequestT_contra, /) -> Ticket[OutcomeT]:
        """Queue a request.

        Raises:
            RefusalError: at once, with the reason.
        """


class Work(Protocol[RequestT_co, OutcomeT, ResultT_co]):
    """One item, read and accepted."""

    @property
    def size(self) -> int:
        """Tokens or items that the model reads of it."""

    @property
    def rows(self) -> int:
        """How many requests to the engine it takes."""

    @property
    def explains(self) -> bool:
        """Whether its result says what the model looked at, for which the model runs again."""

    def requests(self, deadline: float | None, group: int) -> Sequence[RequestT_co]:
        """The engine's requests. `deadline` is a `time.monotonic()` instant; `group` numbers what came in one list."""

    def result(self, outcomes: list[OutcomeT]) -> ResultT_co:
        """What the engine's answers, in the order of the requests, come to. Blocking where it `explains`."""


class Task(Protocol[ItemT_contra, OptionsT_contra, RequestT, OutcomeT, ResultT_co]):
    """What stands before and after the model of one bundle."""

    @property
    def engine(self) -> Engine[RequestT, OutcomeT]:
        """Where its model runs."""

    def read(self, item: ItemT_contra, options: OptionsT_contra, field: str) -> Work[RequestT, OutcomeT, ResultT_co]:
        """Read an item. `field` names it in errors.

        Raises:
            RefusalError: the item or an option is not taken.
        """
