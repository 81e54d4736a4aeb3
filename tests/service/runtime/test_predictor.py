"""The predict graph on a device: batches padded to sizes that repeat, rows cut back to their own.

Where there is no CUDA device, over a stand-in that binds in host memory what is meant for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from contract.rows import axis_sizes
from contract.signature import PredictSignature
from service.runtime.bundle import Bundle
from service.runtime.predictor import Predictor
from service.runtime.session import IOBinding, cuda_available
from tests.service.runtime.toy_graphs import (
    Row,
    make_recommender,
    make_tagger,
    recommend_outputs,
    session_row,
    tag_outputs,
    tag_row,
)


class HostBinding:
    """What is bound on the device is bound on the host."""

    def __init__(self, binding: IOBinding, shapes: dict[str, tuple[int, ...]]) -> None:
        self.binding = binding
        self._shapes = shapes

    def bind_cpu_input(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self._shapes[name] = array.shape if array.shape else (int(array),)
        self.binding.bind_cpu_input(name, array)

    def bind_output(self, name: str, device: str) -> None:
        assert device == "cuda"
        self.binding.bind_output(name, "cpu")

    def copy_outputs_to_cpu(self) -> list[np.ndarray[Any, Any]]:
        values: list[np.ndarray[Any, Any]] = self.binding.copy_outputs_to_cpu()
        return values


@dataclass
class HostSession:
    """A CPU session in the place of a CUDA one; `shapes` are those of the last run's inputs, a scalar its value."""

    session: Any
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def io_binding(self) -> HostBinding:
        return HostBinding(self.session.io_binding(), self.shapes)

    def run_with_iobinding(self, binding: HostBinding) -> None:
        self.session.run_with_iobinding(binding.binding)


@pytest.fixture(params=["cpu", "stand-in", "cuda"])
def create(request: pytest.FixtureRequest) -> Callable[[Bundle], Predictor]:
    if request.param == "cuda" and not cuda_available():
        pytest.skip("no CUDA device here")

    def make(bundle: Bundle) -> Predictor:
        signature = bundle.signature
        assert isinstance(signature, PredictSignature)
        provider = "cpu" if request.param == "cpu" else "cuda"
        opened = replace(bundle, provider="cuda") if request.param == "cuda" else bundle
        session = opened.session("predict")
        if request.param == "stand-in":
            session = HostSession(session)
        return Predictor(session, signature, bundle.manifest.limits, provider)

    return make


@pytest.mark.parametrize("count", [1, 5, 8])
@pytest.mark.parametrize(
    ("make", "make_row", "outputs"),
    [(make_tagger, tag_row, tag_outputs), (make_recommender, session_row, recommend_outputs)],
    ids=["tagger", "recommender"],
)
def test_rows_come_back_as_they_are_alone(
    create: Callable[[Bundle], Predictor],
    make: Callable[[], Bundle],
    make_row: Callable[[int], dict[str, Any]],
    outputs: Callable[[Row], dict[str, Any]],
    count: int,
) -> None:
    bundle = make()
    rows = [make_row(seed) for seed in range(count)]
    signature = bundle.signature
    assert isinstance(signature, PredictSignature)
    found = create(bundle).run(rows, [axis_sizes(signature.inputs, row) for row in rows])
    assert len(found) == count
    for row, own in zip(rows, found, strict=True):
        expected = outputs(row)
        assert own.keys() == expected.keys()
        for name, array in expected.items():
            assert own[name].shape == array.shape
            np.testing.assert_allclose(own[name], array, atol=1e-3)


def test_on_a_device_sizes_repeat() -> None:
    bundle = make_recommender()
    signature = bundle.signature
    assert isinstance(signature, PredictSignature)
    session = HostSession(bundle.session("predict"))
    predictor = Predictor(session, signature, bundle.manifest.limits, "cuda")
    shapes = []
    for items, filters, k, count in ((3, 0, 3, 1), (4, 1, 4, 1), (9, 5, 9, 3), (12, 17, 15, 4)):
        row = session_row(0) | {"item_ids": np.ones(items, np.int64), "filter_ids": np.ones(filters, np.int64)}
        row["k"] = np.array(k)
        predictor.run([row] * count, [axis_sizes(signature.inputs, row)] * count)
        shapes.append([session.shapes[name] for name in ("item_ids", "filter_ids", "filter_mode", "k")])
    # Powers of two, but never above the limits: 12 items, 20 filters, k of 15.
    assert shapes[0] == shapes[1] == [(1, 4), (1, 1), (1,), (4,)]
    assert shapes[2] == [(4, 12), (4, 8), (4,), (15,)]
    assert shapes[3] == [(4, 12), (4, 20), (4,), (15,)]
