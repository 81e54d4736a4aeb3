"""The service beside what a user would take in its place: same machine, same run, same weights, same requests.

System and load generator share the machine's cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from contract.manifest import load_manifest
from loadtest.bench.asked import what_to_ask
from loadtest.bench.client import Exchange, ReplyError, post_all
from loadtest.bench.corpus import Corpus
from loadtest.bench.gpu import watch_gpus
from loadtest.bench.measure import Spread, percentile
from loadtest.bench.server import Server, ServerError
from loadtest.bench.systems import PEERS, SERVICE, Conditions, System, read_answer, route, run_system, write_body

CONNECTIONS = (1, 8, 64)
SECONDS = 5.0
_COMPARED = 100
"""Replies that are held against ours."""
_FEWEST = 8
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Look:
    """One run of one system: requests a second, seconds of a request, and what it took.

    `cpu` is in seconds a request, of all its processes; `gpu` is the share of the time in which a GPU was busy.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    cpu: float
    resident_bytes: float
    gpu: float | None


@dataclass(frozen=True)
class Point:
    """One system at so many connections, run by run."""

    connections: int
    looks: list[Look] = field(default_factory=list)

    def spread(self, name: str) -> Spread:
        """One of the figures of all runs."""
        return Spread(tuple(getattr(look, name) for look in self.looks))


@dataclass(frozen=True)
class Served:
    """One system on one model; `same` is the share of its answers that are ours, `missing` why it is not there."""

    system: str
    points: list[Point]
    same: float | None = None
    missing: str | None = None

    def at(self, connections: int) -> Point | None:
        """What was measured at so many connections; None where nothing was, or not all of it could be."""
        if self.missing is not None:
            return None
        return next((point for point in self.points if point.connections == connections and point.looks), None)


@dataclass(frozen=True)
class Task:
    """All systems on one model, ours first."""

    task: str
    model: str
    served: list[Served]


def measure_task(
    bundle: Path,
    corpus: Corpus,
    conditions: Conditions,
    *,
    connections: Sequence[int],
    seconds: float,
    repeats: int,
    pictures: Path | None = None,
    peers: Sequence[System] = PEERS,
    report: Callable[[str], None] = lambda _: None,
) -> Task:
    """Measure every system on a bundle `NAME/VERSION/`, taking turns; one that cannot run is left out, and why is kept.

    Args:
        bundle: of one of the tasks that are compared.
        corpus: the texts that are asked.
        conditions: what all systems get alike.
        connections: to measure with, each sending its next request when it has a reply.
        seconds: of one measurement, about.
        repeats: of everything.
        pictures: folder of those that are sent; else made-up ones.
        peers: whom the service is compared with.
        report: is told what is going on.
    """
    task, asked = load_manifest(bundle).task, what_to_ask(bundle, corpus, pictures)
    systems = [SERVICE, *(peer for peer in peers if task in peer.tasks)]
    served = {each: Served(each.name, [Point(count) for count in connections]) for each in systems}
    ours: list[str] = []
    for repeat in range(repeats):
        for system in systems:
            if served[system].missing is not None:
                continue
            report(f"{task}, {system.name}: {repeat + 1} of {repeats}")
            client = _Client(system, task, asked)
            try:
                with run_system(system, bundle, conditions) as server:
                    answers = client.compared(server)
                    ours = answers if system is SERVICE else ours
                    same = sum(map(str.__eq__, answers, ours)) / len(answers)
                    served[system] = replace(served[system], same=same if ours else None)
                    for point in served[system].points:
                        point.looks.append(client.look(server, point.connections, seconds))
            except (ServerError, ReplyError) as error:
                served[system] = replace(served[system], missing=_reason(error))
    return Task(task, bundle.parent.name, list(served.values()))


class _Client:
    """Asks one system the same again and again."""

    def __init__(self, system: System, task: str, asked: Sequence[Any]) -> None:
        self._path = route(system, task)
        self._bodies = [write_body(system, task, each) for each in asked]

    def compared(self, server: Server) -> list[str]:
        """What the system says to the first requests; it is warm then."""
        return [read_answer(reply) for reply in self._post(server, min(_COMPARED, len(self._bodies)), 8).replies]

    def look(self, server: Server, connections: int, seconds: float) -> Look:
        """So many connections for about so many seconds."""
        pilot = self._post(server, max(_FEWEST, 4 * connections), connections)
        count = max(_FEWEST, 2 * connections, int(seconds * len(pilot.replies) / pilot.seconds))
        before = server.cpu_seconds()
        with watch_gpus() as gpus:
            exchange = self._post(server, count, connections)
        cpu = (server.cpu_seconds() - before) / count
        p50, p95, p99 = (percentile(exchange.latencies, share) for share in (0.5, 0.95, 0.99))
        return Look(count / exchange.seconds, p50, p95, p99, cpu, float(server.resident_bytes()), gpus.mean)

    def _post(self, server: Server, count: int, connections: int) -> Exchange:
        return post_all(server.url + self._path, list(islice(cycle(self._bodies), count)), connections)


def _reason(error: Exception) -> str:
    """The last thing that a system said before it ended, or what is wrong with its reply."""
    first, *said = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, ServerError):
        return (said[-1] if said else "it did not get ready in time")[:_LONGEST_REASON]
    return first.partition(" ")[2][:_LONGEST_REASON]
