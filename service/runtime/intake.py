"""What stands between those who ask and an engine's threads: a bounded queue whose groups take turns.

Requests that are cancelled or run out of time leave it at once, before they cost anything.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from service.runtime.errors import DeadlineExceededError, QueueFullError, ShuttingDownError
from service.runtime.requests import Observer, Result

_NUMBERS = itertools.count()
_STALE_DEADLINES = 256
"""So many more than twice the pending ones are kept before those of tickets that are done are forgotten."""


@dataclass(eq=False)
class Admission(Generic[Result]):
    """A submitted request, whatever it asks for. `future.cancel()` or `cancel()` drops it.

    `deadline` is a `time.monotonic()` instant. Requests of one `group` take turns with those of other groups; each
    request of group 0 is a group of its own.
    """

    deadline: float | None
    group: int
    future: Future[Result] = field(default_factory=Future, init=False)
    submitted: float = field(default_factory=time.monotonic, init=False)
    number: int = field(default_factory=_NUMBERS.__next__, init=False)

    def cancel(self) -> None:
        """Drop the request if it is not done yet."""
        self.future.cancel()


TicketT = TypeVar("TicketT", bound=Admission[Any])


class Intake(Generic[TicketT]):
    """Tickets on their way through an engine: they wait until they are taken, and are pending until they are done.

    Groups stand in a ring. Who takes tickets is shown the oldest of each group in turn, then the second oldest of each,
    and so on; a group that was served goes to the end of the ring. So the first is of the group that has gone unserved
    for the longest: who always takes the first lets nobody wait for more batches than there were groups before it, and
    that again for each ticket before it in its own.
    """

    def __init__(self, limit: int, observer: Observer) -> None:
        self._limit = limit
        self._observer = observer
        self._changed = threading.Condition()
        self._ring: OrderedDict[int, OrderedDict[int, TicketT]] = OrderedDict()
        self._depth = 0
        self._pending: dict[int, TicketT] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._closing = False
        self._lost = False

    def __len__(self) -> int:
        """Tickets that wait."""
        return self._depth

    @property
    def room(self) -> int:
        """Tickets that would be let in now."""
        return self._limit - self._depth

    def add(self, ticket: TicketT) -> None:
        """Let a ticket in.

        Raises:
            QueueFullError: too many wait already.
            ShuttingDownError: nobody is let in any more.
        """
        with self._changed:
            if self._closing:
                raise ShuttingDownError
            if not self.room:
                self._observer.dropped(QueueFullError.reason)
                raise QueueFullError
            self._ring.setdefault(_ring_key(ticket), OrderedDict())[ticket.number] = ticket
            self._pending[ticket.number] = ticket
            if ticket.deadline is not None:
                self._note_deadline(ticket.deadline, ticket.number)
            self._depth += 1
            self._observer.queued(self._depth)
            self._changed.notify()
        # By its number: a ticket that its own future led back to would have to wait for the garbage collector, and in
        # the end everybody for that.
        ticket.future.add_done_callback(partial(self._ended, ticket.number))

    def wait(self) -> bool:
        """Block until a ticket waits; False when none does and none will."""
        with self._changed:
            while not (self._depth or self._closing):
                self._changed.wait()
            return self._depth > 0

    def upcoming(self, count: int) -> list[TicketT]:
        """The next tickets, at most `count`, in turn."""
        with self._changed:
            return self._turns(count)

    def take(self, count: int, choose: Callable[[list[TicketT]], Sequence[TicketT]]) -> Sequence[TicketT]:
        """Show `choose` the next tickets, at most `count` and at least one, in turn; take those that it returns."""
        with self._changed:
            upcoming = self._turns(count)
            chosen = choose(upcoming) if upcoming else []
            for ticket in chosen:
                self._remove(ticket)
                if (key := _ring_key(ticket)) in self._ring:
                    self._ring.move_to_end(key)
            depth = self._depth
        if chosen:
            self._observer.queued(depth)
        return chosen

    def drop_late(self, now: float) -> None:
        """Fail every ticket past its deadline, waiting or taken."""
        if not self._deadlines or self._deadlines[0][0] > now:
            return
        late: list[TicketT] = []
        with self._changed:
            while self._deadlines and self._deadlines[0][0] <= now:
                number = heapq.heappop(self._deadlines)[1]
                if number in self._pending:
                    late.append(self._pending[number])
        for ticket in late:
            self.fail(ticket, DeadlineExceededError())

    def lost(self) -> bool:
        """Whether tickets that had been taken were cancelled or failed since the last call."""
        if not self._lost:
            return False
        # Lowered before anybody looks: who is lost from here on raises it again.
        self._lost = False
        return True

    def finish(self, ticket: TicketT, result: Any) -> bool:
        """Settle a ticket with its result; False where somebody was quicker: a client may cancel at any moment."""
        try:
            ticket.future.set_result(result)
        except InvalidStateError:
            return False
        return True

    def fail(self, ticket: TicketT, error: Exception) -> None:
        """Settle a ticket with an error, unless it is settled."""
        try:
            ticket.future.set_exception(error)
        except InvalidStateError:
            return
        self._observer.dropped(getattr(error, "reason", "engine-failed"))

    def close(self, threads: Iterable[threading.Thread], *, drain: bool, timeout: float) -> None:
        """Let nobody in any more; let the threads finish what is pending, or drop it, and wait for them to end."""
        with self._changed:
            self._closing = True
            pending = list(self._pending.values())
            self._changed.notify_all()
        if not drain:
            for ticket in pending:
                ticket.cancel()
        end = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        for ticket in pending:
            self.fail(ticket, ShuttingDownError())

    def _turns(self, count: int) -> list[TicketT]:
        found: list[TicketT] = []
        groups = [iter(group.values()) for group in itertools.islice(self._ring.values(), count)]
        while groups and len(found) < count:
            turn = [(group, ticket) for group in groups if (ticket := next(group, None)) is not None]
            found += [ticket for _, ticket in turn]
            groups = [group for group, _ in turn]
        return found[:count]

    def _remove(self, ticket: TicketT) -> bool:
        """Take a ticket out of the ring, if it is in it."""
        key = _ring_key(ticket)
        group = self._ring.get(key)
        if group is None or group.pop(ticket.number, None) is None:
            return False
        if not group:
            del self._ring[key]
        self._depth -= 1
        return True

    def _note_deadline(self, deadline: float, number: int) -> None:
        if len(self._deadlines) > _STALE_DEADLINES + 2 * len(self._pending):
            self._deadlines = [each for each in self._deadlines if each[1] in self._pending]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, number))

    def _ended(self, number: int, future: Future[Any]) -> None:
        """The future of a pending ticket is done, on the thread of whoever settled it."""
        ticket = self._pending.pop(number)
        cancelled = future.cancelled()
        if not cancelled and future.exception() is None:
            return
        with self._changed:
            if not self._remove(ticket):
                self._lost = True
        if cancelled:
            # Without this, whoever waits for several futures never hears of the cancelled ones.
            future.set_running_or_notify_cancel()
            self._observer.dropped("cancelled")


def _ring_key(ticket: Admission[Any]) -> int:
    return ticket.group or -ticket.number - 1
