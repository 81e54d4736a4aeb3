"""Encode graphs on CUDA run on numbers of rows that repeat; a stand-in tells what they are bound to."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from contract.signature import GenerateSignature, State, Tensor
from service.runtime.newcomers import Newcomers
from service.runtime.session import InferenceSession
from service.runtime.stepper import Encoder, bucket

PIXELS = Tensor(name="pixels", dtype="uint8", axes=("rows", 2, 2, 3))
SIGNATURE = GenerateSignature(
    inputs=(PIXELS,),
    states=(State(name="hidden", dtype="float32", axes=("rows", 4), initial="start"),),
)


class Binding:
    """Keeps what is bound."""

    def __init__(self) -> None:
        self.inputs: dict[str, np.ndarray[Any, Any]] = {}
        self.outputs: list[tuple[str, str]] = []

    def bind_cpu_input(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self.inputs[name] = array

    def bind_output(self, name: str, device: str) -> None:
        self.outputs.append((name, device))

    def get_outputs(self) -> list[str]:
        return ["a value on the device"]


class Session:
    """Keeps its bindings."""

    def __init__(self) -> None:
        self.bindings: list[Binding] = []

    def io_binding(self) -> Binding:
        return Binding()

    def run_with_iobinding(self, binding: Binding) -> None:
        self.bindings.append(binding)


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (33, 64)])
def test_buckets_are_powers_of_two(rows: int, expected: int) -> None:
    assert bucket(rows) == expected


def test_a_batch_is_filled_up_by_its_last_row() -> None:
    session = Session()
    encoder = Encoder(cast(InferenceSession, session), SIGNATURE, "cuda")
    pixels = np.arange(3 * 12, dtype=np.uint8).reshape(3, 2, 2, 3)
    values = encoder.run({"pixels": pixels})
    assert values["start"] == "a value on the device"
    (binding,) = session.bindings
    np.testing.assert_array_equal(binding.inputs["pixels"], pixels[[0, 1, 2, 2]])
    assert binding.inputs["pixels"].dtype == np.uint8
    assert binding.outputs == [("start", "cuda")]


def test_every_shape_that_will_occur_is_warmed_up() -> None:
    session = Session()
    encoder = Encoder(cast(InferenceSession, session), SIGNATURE, "cuda")
    newcomers = Newcomers(encoder, SIGNATURE.inputs, together=6, fail=lambda ticket, error: None)
    newcomers.warm_up({"pixels": np.zeros((2, 2, 3), np.uint8)})
    assert [len(binding.inputs["pixels"]) for binding in session.bindings] == [1, 2, 4, 8]
