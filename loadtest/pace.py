"""Says when requests are due, whether or not anybody is free to send them.

A closed phase has so many requests outstanding: as one ends, the next is due. In an open phase they are due at a
constant rate, or at random instants of that rate, whatever became of those before: a latency is counted from then, so
that a service which stalls is charged with the requests that it kept from being sent (no coordinated omission).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import gevent
from gevent.event import Event
from gevent.queue import Empty, SimpleQueue

from loadtest.shapes import Phase

_SEND_SECONDS, _REPLY_SECONDS = 60.0, 70.0
"""How long what was due is still sent after the last phase, and the last replies are waited for then: longer than the
client waits for one."""
_PEAK = "peak"


class Due(NamedTuple):
    """A request: its phase, and the instant at which it should be sent, by `time.perf_counter`."""

    phase: str
    instant: float


class Pace:
    """Walks through phases on a greenlet of its own; users take what is due, one after the other.

    `completed` tells how many requests were answered well during a phase so far; with `random`, arrivals are a Poisson
    process.
    """

    def __init__(self, phases: Sequence[Phase], completed: Callable[[str], int], random: Random | None = None) -> None:
        self._phases, self._completed, self._random = phases, completed, random
        self._due: SimpleQueue[Due] = SimpleQueue()
        self._outstanding = 0
        self._closed: Phase | None = None
        self._idle = Event()
        self.rates: dict[str, float] = {}
        """Arrivals a second of the phases that are open."""
        self.unsent: Counter[str] = Counter()
        """Requests that were due in a phase and never sent: while overloaded, and at the end of all."""
        self.phase = ""
        """The name of the one that lasts; none when the last has ended."""
        self.over = False

    def take(self) -> Due:
        """The next request that is due; waits for it."""
        due: Due = self._due.get()
        return due

    def done(self) -> None:
        """A request that was taken has come to its end."""
        self._outstanding -= 1
        if self._closed is not None and self._outstanding < (self._closed.users or 0):
            self._put(self._closed.name, time.perf_counter())
        if not self._outstanding:
            self._idle.set()

    def run(self) -> None:
        """Walk through the phases, and wait for the last replies."""
        start = time.perf_counter()
        for phase in self._phases:
            end = start + phase.seconds
            self.phase = phase.name
            if phase.users is not None:
                self._keep(phase, start, end)
            else:
                self._arrive(phase, start, end)
            if phase.refuses:
                self._drop()
            start = end
        self.phase = ""
        if self._outstanding:
            self._idle.wait(_SEND_SECONDS)
            self._drop()
            self._idle.wait(_REPLY_SECONDS)
        self.over = True

    def _keep(self, phase: Phase, start: float, end: float) -> None:
        self._closed = phase
        while self._outstanding < (phase.users or 0):
            self._put(phase.name, start)
        gevent.sleep(max(0.0, end - time.perf_counter()))
        self._closed = None

    def _arrive(self, phase: Phase, start: float, end: float) -> None:
        rate = phase.rate if phase.rate is not None else (phase.of_peak or 0.0) * self._peak()
        self.rates[phase.name] = rate
        instant = start
        while rate > 0 and (instant := instant + self._gap(rate)) < end:
            if (ahead := instant - time.perf_counter()) > 0:
                gevent.sleep(ahead)
            self._put(phase.name, instant)
        gevent.sleep(max(0.0, end - time.perf_counter()))

    def _gap(self, rate: float) -> float:
        return self._random.expovariate(rate) if self._random else 1 / rate

    def _peak(self) -> float:
        seconds = sum(phase.seconds for phase in self._phases if phase.name == _PEAK)
        return self._completed(_PEAK) / seconds if seconds else 0.0

    def _put(self, phase: str, instant: float) -> None:
        self._outstanding += 1
        self._idle.clear()
        self._due.put(Due(phase, instant))

    def _drop(self) -> None:
        """Forget what nobody was free to send."""
        while True:
            try:
                due = self._due.get_nowait()
            except Empty:
                break
            self.unsent[due.phase] += 1
            self._outstanding -= 1
        if not self._outstanding:
            self._idle.set()
