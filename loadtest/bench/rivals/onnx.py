"""A bundle's graphs on ONNX Runtime, without an engine around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from contract.rows import Array
from contract.signature import GenerateSignature, State
from loadtest.bench.rivals.plain import Feeds, Plain, PlainGenerator, PlainPredictor
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.session import InferenceSession, OrtValue, ProviderChoice, configure_threads
from service.runtime.storage import dimensions

CAPACITY = 16
"""Places of a cache at first; where they are full, there are twice as many: attention pays for all of them."""


def open_onnx(folder: Path, provider: str, threads: int, encode_rows: int) -> Plain:
    """A bundle's model in the precision in which the service runs it."""
    configure_threads(threads)
    bundle = open_bundle(folder, provider=cast(ProviderChoice, provider))
    if not isinstance(bundle.signature, GenerateSignature):
        return PlainPredictor(bundle, OnnxPredict(bundle))
    return PlainGenerator(bundle, OnnxSteps(bundle), encode_rows if bundle.manifest.task == "caption" else None)


class OnnxPredict:
    """A `predict` graph."""

    def __init__(self, bundle: Bundle) -> None:
        self._session = bundle.session("predict")
        self._names = [tensor.name for tensor in bundle.signature.graph("predict")[1]]

    def __call__(self, feeds: Feeds) -> Feeds:
        return _run(self._session, self._names, feeds)


class OnnxSteps:
    """An `encode` and a `step` graph."""

    def __init__(self, bundle: Bundle) -> None:
        assert isinstance(bundle.signature, GenerateSignature)
        self.signature, self.device = bundle.signature, bundle.provider
        self._encode, self.step = bundle.session("encode"), bundle.session("step")
        self._encoded = [tensor.name for tensor in self.signature.graph("encode")[1]]

    def __call__(self, parts: Sequence[Feeds]) -> OnnxRun:
        handed_on = [static.name for static in self.signature.statics if static.name not in self._encoded]
        runs = [
            {**_run(self._encode, self._encoded, part), **{name: part[name] for name in handed_on}} for part in parts
        ]
        names = [*self._encoded, *handed_on]
        return OnnxRun(self, {name: np.concatenate([run[name] for run in runs]) for name in names})


class OnnxRun:
    """A batch whose states stay where the graph runs; what a step writes at a position is written in place."""

    def __init__(self, steps: OnnxSteps, encoded: Mapping[str, Array]) -> None:
        self._steps, self._signature = steps, steps.signature
        self._rows = len(next(iter(encoded.values())))
        self._capacity = CAPACITY
        self._held = {static.name: self._put(encoded[static.name]) for static in self._signature.statics}
        for state in self._signature.states:
            self._held[state.name] = self._put(self._grown(state, self._first(state, encoded)))

    def next(self, tokens: Array, position: int) -> Array:
        if position == self._capacity:
            self._capacity *= 2
            for state in self._signature.states:
                if state.write == "at_position":
                    self._held[state.name] = self._put(self._grown(state, self._held[state.name].numpy()))
        binding = self._steps.step.io_binding()
        step = {"token_ids": tokens, "position": np.full(self._rows, position), "k": np.asarray(1)}
        for name, value in (step | self._held).items():
            binding.bind_ortvalue_input(name, value if isinstance(value, OrtValue) else self._put(value))
        binding.bind_output("candidates")
        for state in self._signature.states:
            if state.write == "replaced":
                binding.bind_output(state.successor, self._steps.device)
            else:
                binding.bind_ortvalue_output(state.successor, self._held[state.name])
        self._steps.step.run_with_iobinding(binding)
        candidates, *successors = binding.get_outputs()
        for state, value in zip(self._signature.states, successors, strict=True):
            # What was written in place stays as it is held: its memory is that of an array, which another value of it
            # would not keep alive.
            if state.write == "replaced":
                self._held[state.name] = value
        found: Array = candidates.numpy()[:, 0]
        return found

    def _first(self, state: State, encoded: Mapping[str, Array]) -> Array:
        if state.initial is not None:
            return encoded[state.initial]
        return np.zeros((self._rows, *dimensions(state, {"target": 0})), state.dtype)

    def _grown(self, state: State, values: Array) -> Array:
        """What a state holds, with places for what is to come."""
        if state.write != "at_position":
            return values
        axis = state.axes.index("target")
        room = [(0, max(0, self._capacity - size) if place == axis else 0) for place, size in enumerate(values.shape)]
        return np.pad(values, room)

    def _put(self, values: Array) -> OrtValue:
        return OrtValue.ortvalue_from_numpy(np.asarray(values, order="C"), self._steps.device, 0)


def _run(session: InferenceSession, names: list[str], feeds: Feeds) -> dict[str, Array]:
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))
