"""Phases of a load, and when requests are due in them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import gevent
import pytest

from loadtest import pace
from loadtest.pace import Due, Pace
from loadtest.shapes import SHAPES, Load, Phase, ShapeError, plan


@pytest.mark.parametrize("shape", SHAPES)
def test_phases_last_as_long_as_was_asked_and_begin_with_one_that_is_not_judged(shape: str) -> None:
    phases = plan(shape, Load(users=8), 60)
    assert sum(phase.seconds for phase in phases) == pytest.approx(60)
    assert [phase.name for phase in phases if not phase.judged] == ["warm-up"]
    assert phases[0].seconds == pytest.approx(6)


def test_shapes_change_the_load_as_their_names_say() -> None:
    assert [phase.rate for phase in plan("step", Load(8, rate=50), 10)[1:]] == [10, 20, 30, 40, 50]
    assert [phase.users for phase in plan("spike", Load(8), 10)[1:]] == [8, 32, 8]
    assert [phase.refuses for phase in plan("spike", Load(8), 10)[1:]] == [False, True, False]
    peak, overload, recovery = plan("overload", Load(8), 10)[1:]
    assert (peak.users, overload.of_peak, recovery.of_peak) == (8, 10, 0.5)
    assert (peak.refuses, overload.refuses, recovery.refuses) == (False, True, False)


@pytest.mark.parametrize(
    ("shape", "load", "said"),
    [
        ("flat", Load(8), "'flat' is none of the shapes steady, step"),
        ("steady", Load(8, rate=0), "numbers above 0"),
        ("overload", Load(8, rate=5), "overload finds its own rate"),
    ],
)
def test_loads_that_mean_nothing_are_refused(shape: str, load: Load, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        plan(shape, load, 60)


class Visitors:
    """Users that take what is due, and say so when it is done."""

    def __init__(self, phases: list[Phase], users: int, seconds: float = 0.001, random: Random | None = None) -> None:
        self.taken: list[Due] = []
        self.done: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.most = self._now = 0
        self._seconds = seconds
        self.pace = Pace(phases, lambda name: self.ended[name], random)
        visitors = [gevent.spawn(self._visit) for _ in range(users)]
        self.pace.run()
        gevent.killall(visitors)

    def _visit(self) -> None:
        while True:
            due = self.pace.take()
            self.taken.append(due)
            self._now += 1
            self.most = max(self.most, self._now)
            gevent.sleep(self._seconds)
            self._now -= 1
            self.done[due.phase] += 1
            self.ended[self.pace.phase] += 1
            self.pace.done()


def test_in_a_closed_phase_so_many_are_outstanding() -> None:
    visitors = Visitors([Phase("few", 0.1, users=2), Phase("more", 0.1, users=5)], users=20)
    assert visitors.most == 5
    assert set(visitors.ended) == {"few", "more", ""}, "the last replies come when no phase lasts"
    assert set(visitors.done) == {"few", "more"}
    assert visitors.done["few"] > 2
    assert sum(visitors.done.values()) == len(visitors.taken), "the last replies are waited for"
    assert visitors.pace.over
    assert not visitors.pace.unsent


def test_arrivals_do_not_wait_for_those_before() -> None:
    # Not 0.2 s, at whose very end another would be due or not as sums are rounded.
    visitors = Visitors([Phase("open", 0.195, rate=100)], users=1, seconds=0.02)
    instants = [due.instant for due in visitors.taken]
    assert len(instants) == 19, "one each 10 ms, and all are sent, however late"
    assert [later - earlier for earlier, later in pairwise(instants)] == pytest.approx([0.01] * 18)
    assert not visitors.pace.unsent


def test_what_was_sent_at_the_end_is_waited_for_and_the_rest_was_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_SEND_SECONDS", 0.01)
    visitors = Visitors([Phase("open", 0.095, rate=100)], users=1, seconds=0.5)
    assert visitors.done == {"open": 1}
    assert visitors.pace.unsent == {"open": 8}


def test_random_arrivals_are_as_many() -> None:
    visitors = Visitors([Phase("open", 0.5, rate=400)], users=50, random=Random(1))  # noqa: S311  # traffic, not secrets
    gaps = [later.instant - earlier.instant for earlier, later in pairwise(visitors.taken)]
    assert len(visitors.taken) == pytest.approx(200, abs=40)
    assert len(set(gaps)) > 100


def test_an_overload_is_ten_times_what_was_answered_and_what_nobody_can_send_is_counted() -> None:
    phases = [
        Phase("peak", 0.2, users=2),
        Phase("overload", 0.2, of_peak=10, refuses=True),
        Phase("after", 0.1, users=2),
    ]
    visitors = Visitors(phases, users=2, seconds=0.005)
    peak = visitors.done["peak"]
    assert visitors.pace.rates["overload"] == pytest.approx(10 * peak / 0.2, rel=0.2)
    assert visitors.pace.unsent["overload"] > peak
    assert visitors.done["overload"] + visitors.pace.unsent["overload"] > 5 * peak
    assert visitors.done["after"] > 0
    assert set(visitors.pace.unsent) == {"overload"}
