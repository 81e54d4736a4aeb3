"""Clocks, medians and what they were measured on."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_ENGINES = ("onnxruntime", "ctranslate2", "bentoml", "starlette", "litserve", "torch", "numpy")


@dataclass(frozen=True)
class Machine:
    """Where numbers were measured, as far as it explains them, and on which day."""

    day: str
    processor: str
    cores: int
    python: str
    libraries: dict[str, str]


def describe_machine() -> Machine:
    """Today's date, the processor, the cores this process may use, and the versions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = {name: version(name) for name in _ENGINES}
    return Machine(date.today().isoformat(), _processor(), cores, platform.python_version(), versions)


def cpu_seconds(
    run: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> tuple[float, _Result]:
    """CPU seconds of this process, all threads together, that a call takes, and its result."""
    started = time.process_time()
    result = run(*args, **kwargs)
    return time.process_time() - started, result


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one quantity."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """The least of the values."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The greatest of the values."""
        return max(self.values)

    def over(self, other: Spread) -> Spread:
        """Ratios repeat by repeat: what slows the machine down for a while slows both sides."""
        return Spread(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
