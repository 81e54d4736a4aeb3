"""Figures of GPUs, as their driver's library tells them; what a process uses is tested live."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest

from service import metrics
from service.sampling import _Usage


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


def test_a_gpu_that_tells_nothing_is_told_of_once_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost = {0}

    def memory(gpu: int) -> SimpleNamespace:
        if gpu in lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return SimpleNamespace(used=1000 + gpu, total=8000)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", memory)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", utilisation)
    for gauge in (metrics.GPU_UTILISATION, metrics.GPU_MEMORY_USED, metrics.GPU_MEMORY_TOTAL):
        monkeypatch.setattr(gauge, "_metrics", {})
    usage = _Usage()
    usage.sample()
    usage.sample()
    assert caplog.text.count("GPU 0 tells nothing of itself") == 1
    text = metrics.render().decode()
    assert 'seqserve_gpu_memory_used_bytes{gpu="1"} 1001.0' in text
    assert 'seqserve_gpu_memory_used_bytes{gpu="0"}' not in text
    lost.clear()
    usage.sample()
    assert 'seqserve_gpu_memory_used_bytes{gpu="0"} 1000.0' in metrics.render().decode()
