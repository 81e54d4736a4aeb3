"""Storages against plain arrays; the CUDA one on a device where there is one, and over a host-memory stand-in."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.signature import State, Tensor
from service.runtime import cuda
from service.runtime.cuda import CudaStorage
from service.runtime.session import OrtValue, cuda_available
from service.runtime.storage import CpuStorage, Storage, row_bytes

TENSORS = (
    Tensor(name="lengths", dtype="int64", axes=("rows",)),
    Tensor(name="memory", dtype="float32", axes=("rows", "source", 3)),
    State(name="hidden", dtype="float32", axes=("rows", 4)),
    State(name="cache", dtype="float32", axes=("rows", 2, "target", 3), write="at_position"),
)
SLOTS = 6
LIMITS = {"source": 7, "target": 9}


class HostRuntime:
    """The calls of the CUDA runtime that the storage makes, on host memory."""

    @staticmethod
    def cudaMemset(target: ctypes.c_void_p, value: int, size: ctypes.c_size_t) -> int:  # noqa: N802
        ctypes.memset(target, value, size.value)
        return 0

    @staticmethod
    def cudaMemcpy(target: ctypes.c_void_p, origin: ctypes.c_void_p, size: ctypes.c_size_t, _: int) -> int:  # noqa: N802
        ctypes.memmove(target, origin, size.value)
        return 0

    @staticmethod
    def cudaMemcpy2DAsync(  # noqa: N802
        target: ctypes.c_void_p,
        target_pitch: ctypes.c_size_t,
        origin: ctypes.c_void_p,
        origin_pitch: ctypes.c_size_t,
        width: ctypes.c_size_t,
        height: ctypes.c_size_t,
        _: int,
        __: None,
    ) -> int:
        if width.value > min(target_pitch.value, origin_pitch.value):
            return 12  # cudaErrorInvalidPitchValue
        for line in range(height.value):
            ctypes.memmove(
                (target.value or 0) + line * target_pitch.value,
                (origin.value or 0) + line * origin_pitch.value,
                width.value,
            )
        return 0

    @staticmethod
    def cudaStreamSynchronize(_: None) -> int:  # noqa: N802
        return 0


class HostValue:
    """Allocates what is asked for on CUDA in host memory."""

    @staticmethod
    def ortvalue_from_shape_and_type(shape: list[int], dtype: Any, device: str, index: int) -> OrtValue:
        assert (device, index) == ("cuda", 0)
        return OrtValue.ortvalue_from_numpy(np.full(shape, 77, dtype=dtype))


@pytest.fixture(params=["cpu", "stand-in", "cuda"])
def create(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    if request.param == "cpu":
        return CpuStorage
    if request.param == "cuda" and not cuda_available():
        pytest.skip("no CUDA device here")
    if request.param == "stand-in":
        monkeypatch.setattr(cuda, "_runtime", HostRuntime)
        monkeypatch.setattr(cuda, "OrtValue", HostValue)
    return CudaStorage


def read(storage: Storage, rows: int) -> np.ndarray[Any, Any]:
    """The first rows, by an ONNX Runtime value that stands on the storage's address, or by plain memory."""
    shape = (rows, *storage.dims)
    dtype = np.dtype(storage.tensor.dtype)
    if isinstance(storage, CudaStorage) and cuda._runtime is not HostRuntime:
        host = np.zeros(shape, dtype)
        target, origin = ctypes.c_void_p(host.ctypes.data), ctypes.c_void_p(storage.address)
        assert cuda._runtime().cudaMemcpy(target, origin, ctypes.c_size_t(host.nbytes), 4) == 0
        return host
    raw = (ctypes.c_uint8 * (int(np.prod(shape)) * dtype.itemsize)).from_address(storage.address)
    return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: tensor.name)
def test_a_new_storage_is_zero(tensor: Tensor, create: type[Any]) -> None:
    assert not read(create(tensor, SLOTS, LIMITS), SLOTS).any()


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: tensor.name)
def test_rows_survive_loading_copying_and_resizing(tensor: Tensor, create: type[Any]) -> None:
    @settings(max_examples=40)
    @given(st.lists(st.integers(0, 2**31), min_size=1, max_size=12))
    def check(seeds: list[int]) -> None:
        storage = create(tensor, SLOTS, LIMITS)
        capacities = dict(LIMITS)
        expected = np.zeros((SLOTS, *storage.dims), dtype=tensor.dtype)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            action = rng.integers(4)
            if action == 0:
                rows = rng.permutation(SLOTS)[: rng.integers(1, SLOTS)]
                part = [rng.integers(1, size + 1) if isinstance(axis, str) else size for axis, size in _axes(storage)]
                values = rng.integers(1, 100, (len(rows), *part)).astype(tensor.dtype)
                storage.load(rows, values)
                expected[rows, *(slice(size) for size in part)] = values
            elif action == 1:
                order = rng.permutation(SLOTS)
                destination, source = order[:2], order[2:4]
                used = {axis: rng.integers(1, size + 1, 2) for axis, size in capacities.items()}
                storage.copy(destination, source, used)
                for index, (to, origin) in enumerate(zip(destination, source, strict=True)):
                    part = [slice(used[a][index]) if isinstance(a, str) else slice(None) for a, _ in _axes(storage)]
                    expected[to, *part] = expected[origin, *part]
            elif action == 2:
                rows = rng.permutation(SLOTS)[:2]
                storage.fill(rows, 1)
                expected[rows] = 1
            else:
                capacities = {axis: int(rng.integers(1, size + 1)) for axis, size in LIMITS.items()}
                kept = expected
                storage.resize(SLOTS, capacities)
                expected = read(storage, SLOTS)
                common = [slice(min(a, b)) for a, b in zip(kept.shape[1:], storage.dims, strict=True)]
                np.testing.assert_array_equal(expected[:, *common], kept[:, *common])
            np.testing.assert_array_equal(read(storage, SLOTS), expected)

    check()


def test_the_address_never_changes(create: type[Any]) -> None:
    storage = create(TENSORS[1], SLOTS, LIMITS)
    address = storage.address
    storage.resize(2, {"source": 3, "target": 3})
    storage.load(np.array([1]), np.ones((1, 2, 3), dtype=np.float32))
    assert storage.address == address
    assert storage.dims == (3, 3)


def test_row_bytes() -> None:
    assert row_bytes(TENSORS[3], LIMITS) == 2 * 9 * 3 * 4
    assert row_bytes(TENSORS[0], LIMITS) == 8


def _axes(storage: Storage) -> list[tuple[int | str, int]]:
    return list(zip(storage.tensor.axes[1:], storage.dims, strict=True))
