"""Which values activations take: real inputs through the fp32 graphs, one row at a time, no padding among them.

A range is the one that loses least: the mean squared error of rounding and clipping the values seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from contract.rows import Array, Row, pad_rows
from contract.signature import GenerateSignature, GraphKind, PredictSignature
from export.drive import Decoder, Feed, Runner
from export.passes.convolution import convolutions
from export.passes.integer import quantised_linears, rounded_values
from export.passes.rounding import Range

_SAMPLES = 512
"""Values kept of one activation of one call, beside its lowest and highest."""
_CANDIDATES = 80
"""How many ranges are tried, evenly spaced from a quarter of the extremes to the extremes."""


class Calibration(NamedTuple):
    """How many validation examples choose int8's ranges, for how many steps, and of how many steps one is looked at."""

    rows: int = 128
    steps: int = 64
    every: int = 1


Ranges = dict[GraphKind, dict[str, Range]]
"""Graph → value name → range."""


def calibrate_pass(
    signature: PredictSignature,
    predict: ir.Model,
    rows: Sequence[Row],
    open_graph: Callable[[Path], Runner],
) -> Watched:
    """What int8 will round in `predict`, of every row."""
    watched = Watched(predict, open_graph)
    for row in rows:
        watched(pad_rows(signature.inputs, [row]))
    return watched


def calibrate_steps(
    signature: GenerateSignature,
    graphs: Mapping[GraphKind, ir.Model],
    examples: Sequence[tuple[Row, Sequence[int]]],
    open_graph: Callable[[Path], Runner],
    *,
    eos: int | None,
    max_steps: int,
    every: int = 1,
) -> dict[GraphKind, Watched]:
    """What int8 will round in `encode` and in `step`.

    Each row is encoded and decoded to its end or `max_steps`, so the step graph sees the states that it will see in
    use. Steps read the tokens that the example names, and once there are no more, the likeliest ones. One of `every` so
    many steps is looked at.
    """
    encode, step = Watched(graphs["encode"], open_graph), Watched(graphs["step"], open_graph, every)
    for row, known in examples:
        decoder = Decoder.start(signature, encode, step, pad_rows(signature.inputs, [row]), max_steps)
        token = -1
        for place in range(max_steps):
            token = known[place] if place < len(known) else token
            if token == eos:
                break
            token = int(decoder.advance(np.array([token]), 1)["candidates"][0, 0])
    return {"encode": encode, "step": step}


class Watched:
    """A graph that remembers a sample of each value that int8 will round, at one of `every` so many calls."""

    def __init__(self, model: ir.Model, open_graph: Callable[[Path], Runner], every: int = 1) -> None:
        self._every = every
        probe = model.clone()
        self._names = sorted(str(value.name) for value in rounded_values(probe.graph))
        factors = {str(linear.x.name) for linear in quantised_linears(probe.graph)}
        returned = {value.name for value in (*probe.graph.outputs, *probe.graph.inputs)}
        values = {output.name: output for node in probe.graph for output in node.outputs}
        probe.graph.outputs.extend(values[name] for name in self._names if name not in returned)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.onnx"
            ir.save(probe, path)
            self._run = open_graph(path)
        self._samples: dict[str, list[Array]] = {name: [] for name in self._names}
        self._peaks: dict[str, Array] = {name: np.zeros(1, np.float32) for name in factors}
        self._sums: dict[str, Array] = {str(each.x.name): np.zeros(1) for each in convolutions(probe.graph)}
        self._given, self._calls = 0, 0
        self._random = np.random.default_rng(0)

    def __call__(self, feed: Mapping[str, Array]) -> Feed:
        outputs = self._run(feed)
        self._given += 1
        if self._given % self._every:
            return outputs
        self._calls += 1
        for name in self._names:
            array = outputs[name] if name in outputs else feed[name]
            if name in self._peaks:
                channels = np.abs(array).reshape(-1, array.shape[-1])
                self._peaks[name] = np.maximum(self._peaks[name], channels.max(axis=0))
            if name in self._sums:
                self._sums[name] = self._sums[name] + array.mean(axis=(0, 2, 3))
            values = array.ravel()
            extremes = np.array([values.min(), values.max()])
            self._samples[name].append(np.concatenate([extremes, self._random.choice(values, _SAMPLES)]))
        return outputs

    def peaks(self) -> dict[str, Array]:
        """The largest magnitude of each channel (the last axis) of what products read, by value name."""
        return self._peaks

    def means(self) -> dict[str, Array]:
        """The mean of each channel (axis 1) of what convolutions read, by value name."""
        return {name: total / self._calls for name, total in self._sums.items()}

    def ranges(self) -> dict[str, Range]:
        """The range of every value, by its name."""
        return {name: best_range(np.concatenate(samples)) for name, samples in self._samples.items()}


def best_range(values: Array) -> Range:
    """The range whose 256 levels lose least of `values`, in mean squared error."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return min(_shrunk(low, high), key=lambda bounds: _loss(values, *bounds))


def _shrunk(low: float, high: float) -> Iterable[Range]:
    return [(low * share, high * share) for share in np.linspace(0.25, 1.0, _CANDIDATES)]


def _loss(values: Array, low: float, high: float) -> float:
    scale = max((high - low) / 255, float(np.finfo(np.float32).tiny))
    zero_point = round(-low / scale)
    rounded = (np.clip(np.round(values / scale) + zero_point, 0, 255) - zero_point) * scale
    return float(np.square(rounded - values).mean())
