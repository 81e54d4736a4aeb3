"""How load changes with time: in phases, closed (so many requests outstanding) or open (so many arrivals a second)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OVERLOAD, RECOVERY = 10.0, 0.5
"""Arrivals while overloaded and after it, as multiples of what was answered at the peak."""
USERS, PEAK_USERS = 16, 64
"""Requests outstanding where nothing else is said; of an overload, so many that its peak is the most it can do."""
_STEPS, _SPIKE = 5, 4.0
_WARM_UP, _WARM_UP_SECONDS = 0.1, 10.0
"""What is not judged at the beginning: such a share of the time, and no more than so long."""


class ShapeError(ValueError):
    """Load that means nothing; the message says what to ask for."""


@dataclass(frozen=True)
class Phase:
    """A time in which the load is the same.

    Exactly one of `users`, `rate` and `of_peak` is given: requests outstanding, arrivals a second, or arrivals as a
    multiple of the requests a second that were answered in the phase named *peak*. `judged` says whether thresholds
    hold; `refuses`, whether refusals (429) are what should happen; `full`, whether it finds out the most that a service
    can do, with as many waiting as that takes. Neither of the last two is judged by its latencies.
    """

    name: str
    seconds: float
    users: int | None = None
    rate: float | None = None
    of_peak: float | None = None
    judged: bool = True
    refuses: bool = False
    full: bool = False


@dataclass(frozen=True)
class Load:
    """The load of a shape at level 1: closed with so many users, or open at a rate."""

    users: int
    rate: float | None = None

    def phase(
        self, name: str, seconds: float, level: float = 1.0, *, judged: bool = True, refuses: bool = False
    ) -> Phase:
        """A phase at a level of this load."""
        if self.rate is not None:
            return Phase(name, seconds, rate=self.rate * level, judged=judged, refuses=refuses)
        return Phase(name, seconds, users=max(1, round(self.users * level)), judged=judged, refuses=refuses)


def usual_users(shape: str) -> int:
    """Requests outstanding of a shape where nothing else is said."""
    return PEAK_USERS if shape == "overload" else USERS


def plan(shape: str, load: Load, seconds: float) -> list[Phase]:
    """The phases of a shape, so many seconds in all.

    Raises:
        ShapeError: there is no such shape, or a number is not above 0, or an overload is asked for at a rate.
    """
    if shape not in SHAPES:
        raise ShapeError(f"{shape!r} is none of the shapes {', '.join(SHAPES)}")
    if seconds <= 0 or load.users <= 0 or (load.rate is not None and load.rate <= 0):
        raise ShapeError("users, rate and duration are numbers above 0")
    warm_up = min(_WARM_UP * seconds, _WARM_UP_SECONDS)
    return [load.phase("warm-up", warm_up, judged=False), *SHAPES[shape](load, seconds - warm_up)]


def _steady(load: Load, seconds: float) -> list[Phase]:
    return [load.phase("steady", seconds)]


def _step(load: Load, seconds: float) -> list[Phase]:
    levels = [step / _STEPS for step in range(1, _STEPS + 1)]
    return [load.phase(f"step {level:.0%}", seconds / _STEPS, level) for level in levels]


def _spike(load: Load, seconds: float) -> list[Phase]:
    spike = load.phase("spike", 0.2 * seconds, _SPIKE, refuses=True)
    return [load.phase("before", 0.4 * seconds), spike, load.phase("after", 0.4 * seconds)]


def _soak(load: Load, seconds: float) -> list[Phase]:
    return [load.phase("soak", seconds)]


def _overload(load: Load, seconds: float) -> list[Phase]:
    if load.rate is not None:
        raise ShapeError("overload finds its own rate: leave the rate out")
    return [
        Phase("peak", 0.3 * seconds, users=load.users, full=True),
        Phase("overload", 0.4 * seconds, of_peak=OVERLOAD, refuses=True),
        Phase("recovery", 0.3 * seconds, of_peak=RECOVERY),
    ]


SHAPES: dict[str, Callable[[Load, float], list[Phase]]] = {
    "steady": _steady,
    "step": _step,
    "spike": _spike,
    "soak": _soak,
    "overload": _overload,
}
