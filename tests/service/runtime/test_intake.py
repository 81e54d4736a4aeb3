"""The bounded queue: groups take turns, nobody starves, and what is dropped leaves at once."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import FIRST_COMPLETED, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.runtime.errors import DeadlineExceededError, EngineFailedError, QueueFullError, ShuttingDownError
from service.runtime.intake import Admission, Intake
from service.runtime.requests import Observer

Ticket = Admission[str]


class Watcher(Observer):
    def __init__(self) -> None:
        self.depths: list[int] = []
        self.reasons: list[str] = []

    def queued(self, depth: int) -> None:
        self.depths.append(depth)

    def dropped(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def intake(watcher: Watcher) -> Intake[Ticket]:
    return Intake(10, watcher)


def fill(intake: Intake[Ticket], *groups: int, deadline: float | None = None) -> list[Ticket]:
    tickets = [Ticket(deadline, group) for group in groups]
    for ticket in tickets:
        intake.add(ticket)
    return tickets


def the_first(tickets: list[Ticket]) -> list[Ticket]:
    return tickets[:1]


def test_requests_without_a_group_come_in_order(intake: Intake[Ticket]) -> None:
    tickets = fill(intake, 0, 0, 0)
    assert intake.upcoming(9) == tickets
    assert [*intake.take(2, list), *intake.take(2, list)] == tickets
    assert intake.take(2, list) == []


def test_groups_take_turns(intake: Intake[Ticket]) -> None:
    a, b, c, x, y, single = fill(intake, 7, 7, 7, 8, 8, 0)
    assert intake.upcoming(9) == [a, x, single, b, y, c]
    assert intake.take(9, the_first) == [a]
    assert intake.upcoming(9) == [x, single, b, y, c]
    assert intake.upcoming(2) == [x, single]


def test_a_long_list_keeps_nobody_waiting(intake: Intake[Ticket]) -> None:
    fill(intake, *[7] * 8)
    assert len(intake.take(2, list)) == 2
    (single,) = fill(intake, 0)
    turns = [intake.take(1, list)[0] for _ in range(2)]
    assert single in turns


@settings(max_examples=60)
@given(st.data())
def test_the_first_is_the_oldest_of_the_group_unserved_for_the_longest(data: st.DataObject) -> None:
    """Whatever is taken beside the first, whoever arrives and whoever leaves meanwhile."""
    intake: Intake[Ticket] = Intake(1000, Observer())
    groups: dict[int, list[Ticket]] = {}
    """In the order of their last service or their arrival."""
    for _ in range(data.draw(st.integers(1, 10))):
        for number in data.draw(st.lists(st.integers(0, 3), max_size=6)):
            (ticket,) = fill(intake, number)
            groups.setdefault(key_of(ticket), []).append(ticket)
        present = [ticket for members in groups.values() for ticket in members]
        if present and data.draw(st.booleans()):
            leaver = data.draw(st.sampled_from(present))
            leaver.cancel()
            remove(groups, leaver)
        served = data.draw(st.sets(st.integers(1, 5))) | {0}
        expected = next(iter(groups.values()))[0] if groups else None
        taken = intake.take(8, lambda upcoming, served=served: [upcoming[i] for i in served if i < len(upcoming)])
        assert (taken[0] if taken else None) is expected
        for ticket in taken:
            remove(groups, ticket)
            if members := groups.pop(key_of(ticket), None):
                groups[key_of(ticket)] = members
    assert len(intake) == sum(map(len, groups.values()))


def key_of(ticket: Ticket) -> int:
    return ticket.group or -ticket.number - 1


def remove(groups: dict[int, list[Ticket]], ticket: Ticket) -> None:
    groups[key_of(ticket)].remove(ticket)
    if not groups[key_of(ticket)]:
        del groups[key_of(ticket)]


def test_the_queue_is_bounded(intake: Intake[Ticket], watcher: Watcher) -> None:
    tickets = fill(intake, *[0] * 10)
    with pytest.raises(QueueFullError, match="retry later"):
        fill(intake, 0)
    tickets[4].cancel()
    fill(intake, 0)
    assert len(intake) == 10
    assert watcher.depths == [*range(1, 11), 10]
    assert watcher.reasons == ["queue-full", "cancelled"]


def test_the_cancelled_leave_at_once_and_whoever_waits_for_them_hears_of_it(intake: Intake[Ticket]) -> None:
    first, second = fill(intake, 7, 7)
    first.cancel()
    assert intake.upcoming(9) == [second]
    assert wait([first.future], 0, FIRST_COMPLETED).done == {first.future}
    assert not intake.lost(), "it had not been taken"


def test_the_late_fail_wherever_they_are(intake: Intake[Ticket], watcher: Watcher) -> None:
    (patient,) = fill(intake, 0)
    taken, waiting = fill(intake, 7, 7, deadline=5.0)
    intake.take(9, lambda tickets: [taken])
    intake.drop_late(4.9)
    assert not taken.future.done()
    intake.drop_late(5.0)
    for ticket in (taken, waiting):
        assert isinstance(ticket.future.exception(), DeadlineExceededError)
    assert intake.upcoming(9) == [patient]
    assert intake.lost()
    assert not intake.lost()
    assert watcher.reasons == ["deadline-exceeded"] * 2


def test_a_deadline_means_nothing_to_those_who_are_done(intake: Intake[Ticket], watcher: Watcher) -> None:
    (ticket,) = fill(intake, 0, deadline=5.0)
    intake.take(1, list)
    assert intake.finish(ticket, "done")
    intake.drop_late(6.0)
    assert ticket.future.result() == "done"
    assert watcher.reasons == []


def test_deadlines_of_those_who_are_done_are_forgotten(intake: Intake[Ticket]) -> None:
    for _ in range(2000):
        (ticket,) = fill(intake, 0, deadline=1e9)
        intake.take(1, list)
        intake.finish(ticket, "done")
    assert len(intake._deadlines) < 300


def test_a_ticket_that_is_done_is_gone_at_once(intake: Intake[Ticket]) -> None:
    """Without the garbage collector, whose pauses everybody would wait for."""
    gc.disable()
    try:
        gone = []
        for settle in (lambda ticket: intake.finish(ticket, "done"), Ticket.cancel):
            (ticket,) = fill(intake, 0)
            gone.append(weakref.ref(ticket))
            intake.take(1, list)
            settle(ticket)
            del ticket
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()


def test_who_is_settled_stays_settled(intake: Intake[Ticket], watcher: Watcher) -> None:
    failed, cancelled = fill(intake, 0, 0)
    intake.take(2, list)
    intake.fail(failed, EngineFailedError("broken"))
    cancelled.cancel()
    for ticket in (failed, cancelled):
        assert not intake.finish(ticket, "late")
        intake.fail(ticket, EngineFailedError("broken again"))
    assert str(failed.future.exception()) == "broken"
    assert watcher.reasons == ["engine-failed", "cancelled"]


def test_nobody_comes_in_after_closing_and_a_worker_hears_of_it(intake: Intake[Ticket]) -> None:
    outcomes: list[bool] = []
    worker = threading.Thread(target=lambda: outcomes.append(intake.wait()))
    worker.start()
    intake.close([worker], drain=True, timeout=5)
    assert outcomes == [False]
    with pytest.raises(ShuttingDownError):
        fill(intake, 0)


def test_those_whom_no_thread_served_in_time_are_told(intake: Intake[Ticket]) -> None:
    (ticket,) = fill(intake, 0)
    stuck = threading.Thread(target=time.sleep, args=(0.05,))
    stuck.start()
    intake.close([stuck], drain=True, timeout=0)
    assert isinstance(ticket.future.exception(), ShuttingDownError)
    stuck.join()
