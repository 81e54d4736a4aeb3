"""How many replicas a rate of requests needs: a simulation of one of them, and the fewest that keep to a bound.

A replica works in turns. What is there at the beginning of a turn, up to `at_once` requests, takes part in it; what
comes meanwhile waits for the next. A turn with n requests takes `fixed + (1 - fixed) · n` times as long as one with a
single request does: 0 is a service that gains nothing by batching, 1 one to which a full batch costs no more. A
request leaves after as many turns as it has steps. One turn a request is a one-shot model behind its batcher, many are
a continuous batch. Requests come at random (a Poisson process), and a balancer hands each to any of the replicas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from loadtest.bench.measure import percentile

REQUESTS = 20_000
"""That are simulated: 200 of them decide a 99th percentile."""
_WARM_UP = 0.1
"""Share of them that find an emptier service than the rest, and are left out."""
_MOST_REPLICAS = 10_000


class CapacityError(ValueError):
    """A bound that no number of replicas keeps, or a service that means nothing; the message says which."""


@dataclass(frozen=True)
class ServiceModel:
    """A replica, as it was measured.

    Attributes:
        alone: seconds of single requests, one at a time: they are drawn from again.
        steps: mean turns of a request; longer ones have more.
        fixed: the part of a turn that does not grow with the requests in it, 0 to 1.
        at_once: requests in a turn at most.
    """

    alone: tuple[float, ...]
    steps: float
    fixed: float
    at_once: int

    def __post_init__(self) -> None:
        if not self.alone or min(self.alone) <= 0 or self.steps < 1 or not 0 <= self.fixed <= 1 or self.at_once < 1:
            raise CapacityError("a service needs times above 0, a step or more, 0 to 1 that is fixed, and room for one")

    @property
    def mean(self) -> float:
        """Mean seconds of a request that is alone."""
        return sum(self.alone) / len(self.alone)

    @property
    def peak(self) -> float:
        """Requests a second of a replica whose turns are full."""
        return self.at_once / (self.mean * self.stretch(self.at_once))

    def stretch(self, requests: int) -> float:
        """How many times longer a turn with so many requests is than one with a single one."""
        return self.fixed + (1 - self.fixed) * requests


@dataclass(frozen=True)
class Plan:
    """The fewest replicas that keep a bound, and what is expected of them; times are in seconds."""

    rate: float
    bound: float
    replicas: int
    p50: float
    p99: float
    utilisation: float


def fit_fixed(alone: float, rate: float, requests: int) -> float:
    """The fixed part of a turn, of a service that answers `rate` requests a second with so many in a turn.

    `alone` is the mean seconds of a single request. What is slower together than one after the other counts as 0.
    """
    if requests < 2:
        return 0.0
    stretch = requests / (rate * alone)
    return min(1.0, max(0.0, (requests - stretch) / (requests - 1)))


def simulate(model: ServiceModel, rate: float, *, requests: int = REQUESTS, seed: int = 1) -> list[float]:
    """Seconds from arrival to reply of requests that come to one replica at `rate` a second."""
    random = Random(seed)  # noqa: S311  # traffic, not secrets
    turn = model.mean / model.steps
    arrivals: list[float] = []
    now = 0.0
    for _ in range(requests):
        now += random.expovariate(rate)
        arrivals.append(now)
    lengths = [random.choice(model.alone) for _ in arrivals]
    latencies = _serve(model, arrivals, lengths, turn)
    return latencies[int(_WARM_UP * requests) :]


def plan(model: ServiceModel, rate: float, bound: float, *, requests: int = REQUESTS) -> Plan:
    """The fewest replicas of which 99 of 100 requests, coming at `rate` a second, take at most `bound` seconds.

    Raises:
        CapacityError: a request that is alone takes longer than that already, or more replicas are needed than anybody
            has.
    """
    if percentile(model.alone, 0.99) > bound:
        slow = 1000 * percentile(model.alone, 0.99)
        raise CapacityError(f"99 of 100 requests take {slow:,.1f} ms alone: no replicas keep to {1000 * bound:g} ms")
    # With more replicas each has less to do: the fewest are found by halving.
    least, most = 0, max(1, int(rate / model.peak))
    while not _keeps(model, rate / most, bound, requests):
        least, most = most, 2 * most
        if most > _MOST_REPLICAS:
            raise CapacityError(f"{rate:g} requests a second within {1000 * bound:g} ms need over {least} replicas")
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if _keeps(model, rate / middle, bound, requests) else (middle, most)
    latencies = simulate(model, rate / most, requests=requests)
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return Plan(rate, bound, most, p50, p99, rate / most / model.peak)


def _keeps(model: ServiceModel, rate: float, bound: float, requests: int) -> bool:
    return rate < model.peak and percentile(simulate(model, rate, requests=requests), 0.99) <= bound


@dataclass
class _Request:
    """One in the turns: its place in the order of arrivals, and what is left of it."""

    index: int
    turns: int
    seconds: float
    """Of a turn of it alone."""


def _serve(model: ServiceModel, arrivals: Sequence[float], lengths: Sequence[float], turn: float) -> list[float]:
    """Seconds of each request, from its arrival to the end of its last turn."""
    latencies = [0.0] * len(arrivals)
    waiting: deque[int] = deque()
    running: list[_Request] = []
    now, arrived = 0.0, 0
    while arrived < len(arrivals) or waiting or running:
        if not waiting and not running:
            now = max(now, arrivals[arrived])
        while arrived < len(arrivals) and arrivals[arrived] <= now:
            waiting.append(arrived)
            arrived += 1
        while waiting and len(running) < model.at_once:
            index = waiting.popleft()
            turns = max(1, round(lengths[index] / turn))
            running.append(_Request(index, turns, lengths[index] / turns))
        # The longest governs what is padded to it; what grows with the requests, each adds by its own length.
        longest = max(request.seconds for request in running)
        together = sum(request.seconds for request in running)
        now += model.fixed * longest + (1 - model.fixed) * together
        for request in running:
            request.turns -= 1
            if not request.turns:
                latencies[request.index] = now - arrivals[request.index]
        running = [request for request in running if request.turns]
    return latencies
