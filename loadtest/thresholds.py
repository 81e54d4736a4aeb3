"""What a run must keep to, and by what it was broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtest.report import EndpointReport, PhaseReport, Report

_OFFERED = 0.5
"""Share of an overload that must have been sent for it to be one."""
SHIPPED = Path(__file__).with_name("thresholds.yaml")


class ThresholdsError(ValueError):
    """A file that cannot be used; the message says which, and each fault in it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoint(_Frozen):
    """Of one path: longest 95th percentile in milliseconds, and largest share of what goes wrong. None: the default."""

    p95: float | None = Field(default=None, gt=0)
    error_rate: float | None = Field(default=None, ge=0, le=1)


class Default(_Frozen):
    """Of every path that says nothing else."""

    p95: float = Field(default=1000, gt=0)
    error_rate: float = Field(default=0, ge=0, le=1)


class Overload(_Frozen):
    """While overloaded: least share of the peak that is answered, longest median of a refusal in milliseconds."""

    goodput: float = Field(default=0.8, ge=0, le=1)
    refusal: float = Field(default=50, gt=0)


class Thresholds(_Frozen):
    """All of them."""

    default: Default = Default()
    endpoints: dict[str, Endpoint] = {}
    overload: Overload = Overload()

    def breaches(self, report: Report) -> list[str]:
        """What a run broke, one sentence each; none where it passes."""
        if not any(endpoint.due for phase in report.phases for endpoint in phase.endpoints):
            return ["nothing was asked"]
        judged = [phase for phase in report.phases if phase.judged]
        return [breach for phase in judged for breach in self._of_phase(phase, report)]

    def _of_phase(self, phase: PhaseReport, report: Report) -> Iterator[str]:
        for endpoint in phase.endpoints:
            yield from self._of_endpoint(phase, endpoint)
        if phase.unsent and not phase.refuses:
            yield f"{phase.name}: {phase.unsent} requests were due and never sent: every user was waiting for a reply"
        peak = report.phase("peak")
        if not phase.refuses or peak is None:
            return
        if phase.rate and phase.offered < _OFFERED * phase.rate:
            offered = f"{phase.offered:,.0f} of {phase.rate:,.0f} requests a second could be sent"
            yield f"{phase.name}: only {offered}: raise --users, or give the load more of the cores"
        share = phase.goodput / peak.goodput if peak.goodput else 0.0
        if share < self.overload.goodput:
            yield f"{phase.name}: goodput is {share:.0%} of the peak, the limit is {self.overload.goodput:.0%}"
        if phase.refusal is None:
            yield f"{phase.name}: nothing was refused, so that it was no overload: the queue is longer than the load"
        elif phase.refusal > self.overload.refusal:
            yield f"{phase.name}: half of the refusals took over {phase.refusal:.0f} ms, not {self.overload.refusal:g}"

    def _of_endpoint(self, phase: PhaseReport, endpoint: EndpointReport) -> Iterator[str]:
        own = self.endpoints.get(endpoint.path, Endpoint())
        p95 = self.default.p95 if own.p95 is None else own.p95
        error_rate = self.default.error_rate if own.error_rate is None else own.error_rate
        place = f"{phase.name}: {endpoint.path}"
        wrong = endpoint.failed + (0 if phase.refuses else endpoint.refused)
        if wrong / endpoint.due > error_rate:
            worst = ", ".join(f"{fault} ({count}×)" for fault, count in endpoint.faults.items()) or "refused"
            yield f"{place}: {wrong} of {endpoint.due} went wrong, the limit is {error_rate:.2%}: {worst}"
        # What waits in a full queue is as late as the queue is long.
        if not (phase.refuses or phase.full) and endpoint.p95 is not None and endpoint.p95 > p95:
            yield f"{place}: 95th percentile {endpoint.p95:.0f} ms, the limit is {p95:g}"


def load_thresholds(path: Path) -> Thresholds:
    """Read a file.

    Raises:
        ThresholdsError: it is not there, no YAML, or says what it should not.
    """
    try:
        return Thresholds.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError) as error:
        raise ThresholdsError(f"{path}: {error}") from error
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ThresholdsError(f"{path}: {'; '.join(faults)}") from error
