"""Gauges that nothing moves by itself: what waits and runs in each engine, what this process and its GPUs use.

They are set when this process is asked for its figures. Where there are several worker processes, one of the others may
be asked, so each sets its own every second.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress

import psutil
import pynvml

from service import metrics
from service.api.life import Life
from service.kinds import SlotEngine
from service.settings import available_memory

_LOG = logging.getLogger("bentoml.seqserve")
_PERIOD = 1.0
"""Seconds."""


def sample(life: Life) -> None:
    """Set the gauges of this process."""
    if life.loaded:
        for model in life.catalogue:
            engine = model.engine
            rows = engine.running_rows if isinstance(engine, SlotEngine) else None
            model.metrics.sampled(engine.queue_depth, rows)
    _usage.sample()


async def keep_sampling(life: Life) -> None:
    """Set the gauges of this process again and again."""
    while True:
        await asyncio.to_thread(sample, life)
        await asyncio.sleep(_PERIOD)


class _Usage:
    """What this process and the GPUs that it can see use."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._gpus = _find_gpus()
        self._silent: set[str] = set()
        self._cpu_seconds = 0.0
        self._lock = threading.Lock()
        metrics.START_TIME.set(self._process.create_time())
        metrics.MEMORY_LIMIT.set(available_memory())

    def sample(self) -> None:
        """Set the gauges; of processor time, count what was spent since the last call."""
        with self._lock:
            times = self._process.cpu_times()
            spent = times.user + times.system
            metrics.CPU_SECONDS.inc(spent - self._cpu_seconds)
            self._cpu_seconds = spent
        metrics.MEMORY.set(self._process.memory_info().rss)
        for index, gpu in self._gpus.items():
            try:
                self._ask(index, gpu)
            except pynvml.NVMLError as error:
                # Its gauges stay as they are; all others go on.
                if index not in self._silent:
                    _LOG.error("GPU %s tells nothing of itself: %s", index, error)
                self._silent.add(index)
            else:
                self._silent.discard(index)

    def _ask(self, index: str, gpu: object) -> None:
        memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
        metrics.GPU_MEMORY_USED.labels(index).set(memory.used)
        metrics.GPU_MEMORY_TOTAL.labels(index).set(memory.total)
        # A slice of a GPU does not tell how busy it is.
        with suppress(pynvml.NVMLError_NotSupported):
            busy = pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu
            metrics.GPU_UTILISATION.labels(index).set(busy / 100)


def _find_gpus() -> dict[str, object]:
    """NVIDIA's GPUs that this machine or container has, by index; none where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    return {str(index): pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())}


_usage = _Usage()
