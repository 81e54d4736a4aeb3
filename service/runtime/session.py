"""ONNX Runtime sessions: the service's only import of onnxruntime."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Literal

import onnxruntime as ort
from onnxruntime import InferenceSession, IOBinding, OrtValue

__all__ = ["IOBinding", "InferenceSession", "OrtValue", "configure_threads", "create_session", "resolve_provider"]

Provider = Literal["cpu", "cuda"]
ProviderChoice = Literal["auto", "cpu", "cuda"]

_ERROR_LEVEL = 3
_SLOW_ON_CPU = ["SkipLayerNormFusion"]
"""Measured several times slower than the Add and LayerNormalization it replaces (docs/decisions)."""
_pool_sizes: list[int] = []
"""Threads of the process's pool, once there is one."""


class ProviderError(RuntimeError):
    """The asked execution provider is not to be had here."""


@cache
def cuda_available() -> bool:
    """Whether this runtime is built for CUDA and the driver shows a device."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return False
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


@cache
def _load_cuda() -> None:
    """Load CUDA and cuDNN from their wheels: where those lie, the engine's own libraries do not look."""
    ort.preload_dlls()


def resolve_provider(choice: ProviderChoice) -> Provider:
    """The provider to run on: CUDA where it is present, else CPU, or exactly the one asked for.

    Raises:
        ProviderError: CUDA was asked for and is not available.
    """
    if choice == "cuda" and not cuda_available():
        raise ProviderError(
            "CUDA was asked for, but no CUDA device answers: install onnxruntime-gpu and a driver, or choose 'cpu'"
        )
    if choice == "auto":
        return "cuda" if cuda_available() else "cpu"
    return choice


def configure_threads(intra_op: int) -> None:
    """Make the process's one pool of compute threads, which every session shares.

    Only the first call counts, since a pool cannot be replaced; the first session makes one of a single thread where
    nobody has called before.
    """
    if not _pool_sizes:
        ort.set_global_thread_pool_sizes(intra_op, 1)
        ort.set_default_logger_severity(_ERROR_LEVEL)
        _pool_sizes.append(intra_op)


def create_session(path: Path, provider: Provider, *, prepack: bool = True, optimise: bool = True) -> InferenceSession:
    """Open a graph on a provider.

    `prepack=False` saves the memory of the rearranged weights at the price of speed, for graphs that run seldom.
    """
    configure_threads(1)
    options = ort.SessionOptions()
    options.log_severity_level = _ERROR_LEVEL
    options.enable_mem_pattern = False  # shapes vary between calls
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_per_session_threads = False
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if provider == "cuda":
        # The arena never shrinks, so it grows by what is asked for and no more.
        _load_cuda()
        cuda = ("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"})
        session = InferenceSession(str(path), options, providers=[cuda, "CPUExecutionProvider"])
        if "CUDAExecutionProvider" not in session.get_providers():
            raise ProviderError(
                "a CUDA device answers, but a library that CUDA needs could not be loaded (see above): "
                "install onnxruntime-gpu with its extras [cuda,cudnn] and nvidia-cublas, or choose 'cpu'"
            )
        return session
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW_ON_CPU)
