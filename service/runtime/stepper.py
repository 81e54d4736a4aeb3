"""Runs encode and step graphs over the slots with IO binding: nothing of a row's state is copied between steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.signature import GenerateSignature
from service.runtime.session import InferenceSession, IOBinding
from service.runtime.slots import Slots

_MAX_BINDINGS = 1024


def bucket(rows: int) -> int:
    """The next power of two: of rows on CUDA, so that shapes repeat."""
    return 1 << (rows - 1).bit_length()


class Stepper:
    """A step session bound to slots.

    `token_ids` and `positions` are `[slots]`, written by the caller before a step. Bindings are kept for each
    (rows, k, layout), since the addresses never change.
    """

    def __init__(self, session: InferenceSession, slots: Slots, device: str, max_k: int) -> None:
        self._session = session
        self._slots = slots
        self._device = device
        self.token_ids = np.zeros(slots.count, dtype=np.int64)
        self.positions = np.zeros(slots.count, dtype=np.int64)
        self._candidates = np.zeros(slots.count * max_k, dtype=np.int64)
        self._scores = np.zeros(slots.count * max_k, dtype=np.float32)
        self._counts = np.arange(max_k + 1, dtype=np.int64)
        self._bindings: dict[tuple[int, ...], IOBinding] = {}

    def step(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """One step of the live rows → candidates and scores `[live, k]`, valid until the next step."""
        live = self._slots.live
        rows = self._bucket(live)
        key = (rows, k, *self._slots.layout)
        binding = self._bindings.get(key)
        if binding is None:
            if len(self._bindings) >= _MAX_BINDINGS:
                self._bindings.clear()
            binding = self._bindings[key] = self._bind(rows, k)
        self._session.run_with_iobinding(binding)
        self._slots.swap()
        size = rows * k
        return self._candidates[:size].reshape(rows, k)[:live], self._scores[:size].reshape(rows, k)[:live]

    def _bucket(self, live: int) -> int:
        """Rows to run: exactly the live ones on CPU, their bucket on CUDA."""
        return live if self._device == "cpu" else min(bucket(live), self._slots.count)

    def _bind(self, rows: int, k: int) -> IOBinding:
        binding = self._session.io_binding()
        for name, array in (("token_ids", self.token_ids), ("position", self.positions)):
            binding.bind_input(name, "cpu", 0, array.dtype, (rows,), array.ctypes.data)
        counts = self._counts
        binding.bind_input("k", "cpu", 0, counts.dtype, (), counts.ctypes.data + k * counts.itemsize)
        for tensor, name, storage in self._slots.inputs():
            shape = (rows, *storage.dims)
            binding.bind_input(name, self._device, 0, np.dtype(tensor.dtype), shape, storage.address)
        for name, output in (("candidates", self._candidates), ("scores", self._scores)):
            binding.bind_output(name, "cpu", 0, output.dtype, (rows, k), output.ctypes.data)
        for tensor, name, storage in self._slots.outputs():
            shape = (rows, *storage.dims)
            binding.bind_output(name, self._device, 0, np.dtype(tensor.dtype), shape, storage.address)
        return binding


class Encoder:
    """An encode session: a batch of inputs → the values that rows start from, on the device."""

    def __init__(self, session: InferenceSession, signature: GenerateSignature, device: str) -> None:
        self._session = session
        self._device = device
        self._outputs = [tensor.name for tensor in signature.graph("encode")[1]]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Encode outputs and the inputs themselves, by name; on CUDA followed by what fills their bucket."""
        if self._device == "cpu":
            return {**inputs, **dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))}
        binding = self._session.io_binding()
        for name, array in inputs.items():
            filling = bucket(len(array)) - len(array)
            binding.bind_cpu_input(name, np.concatenate([array, np.repeat(array[-1:], filling, axis=0)]))
        for name in self._outputs:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        return {**inputs, **dict(zip(self._outputs, binding.get_outputs(), strict=True))}
