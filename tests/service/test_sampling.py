"""Figures of GPUs, as their driver's library tells them; what a process uses is tested live."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pynvml
import pytest

from service import metrics, sampling
from service.api.life import Life
from service.sampling import _Usage, keep_sampling
from tests.service.replies import until


def utilisation(gpu: int) -> SimpleNamespace:
    if gpu == 1:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return SimpleNamespace(gpu=37)


def test_each_gpu_tells_its_memory_and_how_busy_it_is_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda gpu: SimpleNamespace(used=1000 + gpu, total=8000))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", utilisation)
    for gauge in (metrics.GPU_UTILISATION, metrics.GPU_MEMORY_USED, metrics.GPU_MEMORY_TOTAL):
        monkeypatch.setattr(gauge, "_metrics", {})
    _Usage().sample()
    told = [line for line in metrics.render().decode().splitlines() if line.startswith("seqserve_gpu_")]
    assert told == [
        'seqserve_gpu_utilization_ratio{gpu="0"} 0.37',
        'seqserve_gpu_memory_used_bytes{gpu="0"} 1000.0',
        'seqserve_gpu_memory_used_bytes{gpu="1"} 1001.0',
        'seqserve_gpu_memory_total_bytes{gpu="0"} 8000.0',
        'seqserve_gpu_memory_total_bytes{gpu="1"} 8000.0',
    ]


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    monkeypatch.setattr(metrics.GPU_MEMORY_USED, "_metrics", {})
    _Usage().sample()
    assert "seqserve_gpu_memory_used_bytes{gpu=" not in metrics.render().decode()


async def test_what_a_driver_refuses_once_is_told_once_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Life] = []

    def sample(life: Life) -> None:
        asked.append(life)
        if len(asked) in (1, 2, 4):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    monkeypatch.setattr(sampling, "sample", sample)
    monkeypatch.setattr(sampling, "_PERIOD", 0.001)
    task = asyncio.create_task(keep_sampling(Life()))
    await until(lambda: len(asked) >= 6)
    task.cancel()
    assert caplog.text.count("the gauges could not be set") == 2
