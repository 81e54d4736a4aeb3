"""What became of the requests of a run, phase by phase and path by path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from loadtest.bench.measure import percentile
from loadtest.shapes import Phase
from loadtest.traffic.question import Outcome

_FAULTS = 5
"""Different ones that are told, the most frequent."""


class EndpointReport(BaseModel):
    """Requests to one path in one phase; milliseconds are those of what was answered, from when it was due."""

    task: str
    path: str
    answered: int
    refused: int
    failed: int
    p50: float | None
    p95: float | None
    p99: float | None
    statuses: dict[int, int]
    faults: dict[str, int]

    @property
    def due(self) -> int:
        """All of them."""
        return self.answered + self.refused + self.failed


class PhaseReport(BaseModel):
    """One phase: its load, and what came of it.

    `completed` are requests, whenever due, that were answered well while it lasted; `refusal` is the median of a
    refusal in milliseconds.
    """

    name: str
    seconds: float
    users: int | None
    rate: float | None
    judged: bool
    refuses: bool
    full: bool
    unsent: int
    completed: int
    refusal: float | None
    endpoints: list[EndpointReport]

    @property
    def goodput(self) -> float:
        """Requests that were answered well, a second."""
        return self.completed / self.seconds

    @property
    def offered(self) -> float:
        """Requests that were sent, a second."""
        return sum(endpoint.due for endpoint in self.endpoints) / self.seconds


class Report(BaseModel):
    """A whole run."""

    shape: str
    phases: list[PhaseReport]

    def phase(self, name: str) -> PhaseReport | None:
        """The phase of a name, if there is one."""
        return next((phase for phase in self.phases if phase.name == name), None)

    def counts(self, task: str | None = None) -> int:
        """Requests that were sent, of a task or of all."""
        return sum(e.due for p in self.phases for e in p.endpoints if task in (None, e.task))

    def errors(self) -> int:
        """Replies of the 5xx kind."""
        return sum(n for p in self.phases for e in p.endpoints for status, n in e.statuses.items() if status >= 500)


@dataclass
class _Kept:
    """What is kept of the requests to one path in one phase."""

    task: str
    seconds: dict[Outcome, list[float]] = field(default_factory=lambda: {"answered": [], "refused": [], "failed": []})
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Record:
    """Takes notes while a run goes on."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._completed: Counter[str] = Counter()

    def note(
        self,
        phase: str,
        task: str,
        path: str,
        status: int,
        outcome: Outcome,
        seconds: float,
        fault: str | None,
        during: str,
    ) -> None:
        """A request of a phase has come to its end during one, so many seconds after it was due; status 0 is no reply.

        What was refused is timed from when it was sent: until then the service knew nothing of it.
        """
        self._completed[during] += outcome == "answered"
        kept = self._kept.setdefault((phase, path), _Kept(task))
        kept.seconds[outcome].append(seconds)
        kept.statuses[status] += 1
        if fault:
            kept.faults[fault] += 1

    def completed(self, phase: str) -> int:
        """Requests that were answered well during a phase so far."""
        return self._completed[phase]

    def report(self, shape: str, phases: Sequence[Phase], rates: dict[str, float], unsent: Counter[str]) -> Report:
        """The notes as a report; `rates` are those of phases that found theirs when they began."""
        return Report(
            shape=shape, phases=[self._phase(each, rates.get(each.name), unsent[each.name]) for each in phases]
        )

    def _phase(self, phase: Phase, rate: float | None, unsent: int) -> PhaseReport:
        mine = {path: kept for (name, path), kept in sorted(self._kept.items()) if name == phase.name}
        refusals = [1000 * seconds for kept in mine.values() for seconds in kept.seconds["refused"]]
        return PhaseReport(
            name=phase.name,
            seconds=phase.seconds,
            users=phase.users,
            rate=phase.rate if rate is None else rate,
            judged=phase.judged,
            refuses=phase.refuses,
            full=phase.full,
            unsent=unsent,
            completed=self._completed[phase.name],
            refusal=percentile(refusals, 0.5) if refusals else None,
            endpoints=[_endpoint(path, kept) for path, kept in mine.items()],
        )


def _endpoint(path: str, kept: _Kept) -> EndpointReport:
    answered = [1000 * seconds for seconds in kept.seconds["answered"]]
    p50, p95, p99 = (percentile(answered, share) if answered else None for share in (0.5, 0.95, 0.99))
    return EndpointReport(
        task=kept.task,
        path=path,
        answered=len(answered),
        refused=len(kept.seconds["refused"]),
        failed=len(kept.seconds["failed"]),
        p50=p50,
        p95=p95,
        p99=p99,
        statuses=dict(sorted(kept.statuses.items())),
        faults=dict(kept.faults.most_common(_FAULTS)),
    )
