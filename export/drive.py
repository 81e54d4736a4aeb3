"""Graphs driven from the host without the engine: one call after another, as calibration and verification need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from contract.inputs import START
from contract.rows import Array
from contract.signature import GenerateSignature, State

Feed = dict[str, Array]
Runner = Callable[[Mapping[str, Array]], Feed]
"""One graph: arrays by input name → arrays by output name."""


def initial_state(state: State, encoded: Mapping[str, Array], rows: int, capacity: int) -> Array:
    """First value of a state `[rows, …]`, where a slot that others have used before would hold it.

    Written-at-position states are full of numbers from nowhere past their initial part, as a used slot is: a step
    that reads them shows at once.
    """
    if state.write == "at_position":
        sizes = {"rows": rows, "target": capacity}
        shape = [axis if isinstance(axis, int) else sizes[axis] for axis in state.axes]
        value: Array = np.random.default_rng(0).normal(scale=10, size=shape).astype(state.dtype)
        if state.initial is not None:
            given = encoded[state.initial]
            value[tuple(slice(size) for size in given.shape)] = given
        return value
    if state.initial is not None:
        return encoded[state.initial]
    return np.zeros([rows if axis == "rows" else int(axis) for axis in state.axes], dtype=state.dtype)


@dataclass
class Decoder:
    """An encoded batch, stepped token by token."""

    signature: GenerateSignature
    step: Runner
    statics: Feed
    states: Feed
    position: Array

    @classmethod
    def start(
        cls, signature: GenerateSignature, encode: Runner, step: Runner, inputs: Mapping[str, Array], capacity: int
    ) -> Decoder:
        """Encode `inputs` and stand before the first step of each row, with room for `capacity` of them."""
        encoded = encode(inputs)
        rows = next(iter(inputs.values())).shape[0]
        position = np.asarray(inputs.get(START, np.zeros(rows)), np.int64)
        capacity += int(position.max())
        statics = {t.name: inputs[t.name] if t.name in inputs else encoded[t.name] for t in signature.statics}
        states = {state.name: initial_state(state, encoded, rows, capacity) for state in signature.states}
        return cls(signature, step, statics, states, position)

    def feed(self, token_ids: Array, k: int) -> Feed:
        """What the next step would be given."""
        scalars = {"token_ids": token_ids, "position": self.position, "k": np.array(k, np.int64)}
        return {**scalars, **self.statics, **self.states}

    def advance(self, token_ids: Array, k: int) -> Feed:
        """Take one step with the tokens chosen last `[rows]` → all outputs of the step."""
        outputs = self.step(self.feed(token_ids, k))
        self.states = {state.name: outputs[state.successor] for state in self.signature.states}
        self.position = self.position + 1
        return outputs
