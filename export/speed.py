"""How fast a bundle answers through its engine: for the model card, beside the scores."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from contract.manifest import Speed
from contract.rows import Row
from export.material import Ask, Timing

_TOGETHER = 32


def measure_speed(ask: Ask, rows: Sequence[Row], timing: Timing) -> Speed:
    """Medians over validation examples, evenly taken: one waiting at a time, and 32 waiting at once.

    Taken are seconds of processor time, which those of others do not lengthen; the engine has one thread.
    """
    count = _TOGETHER * timing.repeats
    taken = list(islice(cycle(rows[:: max(1, len(rows) // count)]), count))
    ask(taken)
    alone = statistics.median(_seconds(ask, [row]) for row in taken[:: count // timing.alone])
    batches = [taken[start :: timing.repeats] for start in range(timing.repeats)]
    together = statistics.median(_seconds(ask, batch) for batch in batches)
    return Speed(
        latency_seconds=float(f"{alone:.3g}"),
        rows_per_second=float(f"{_TOGETHER / together:.3g}"),
        waiting=_TOGETHER,
        processor=_processor(),
    )


def _seconds(ask: Ask, rows: Sequence[Row]) -> float:
    started = time.process_time()
    ask(rows)
    return time.process_time() - started


def _processor() -> str:
    """The processor's name, without which the figures mean nothing."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
