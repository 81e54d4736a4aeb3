"""The checks that every registered architecture of the one-shot shape must pass, in every variant.

A test file gives the architecture's name, what its config takes from the data, tiny sizes and the axes of variation:

    class TestSelfAttentive(PredictBattery):
        task = "classify"
        architecture = "self_attentive"
        vocabularies = {"vocabulary_size": VOCABULARY, "labels": 3}
        sizes = {"hidden_size": 16, …}
        axes = {"cell": ("lstm", "gru"), …}

Inputs are made from the signature: every kind of ids has `VOCABULARY` ids. A class says what its model learns by
overriding `loss`, and need not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from contract.rows import Row, pad_rows, split_rows
from contract.signature import GraphKind
from contract.tasks import TaskName, check_task
from export.graphs import graph_module
from export.trace import trace
from models.architecture import Predictor
from service.runtime.session import InferenceSession, configure_threads, create_session
from service.runtime.verify import output_errors
from tests.architecture_battery import TOLERANCE, ArchitectureBattery
from tests.predict_inputs import (
    VOCABULARY,
    Array,
    Batch,
    axis_mask,
    fill_padding,
    random_rows,
    real_positions,
    row_sizes,
)

__all__ = ["VOCABULARY", "PredictBattery"]

Exported = Callable[[GraphKind], InferenceSession]


class PredictBattery(ArchitectureBattery):
    """Base class of the tests of one-shot models; the fixture `graph` too is made once for each variant."""

    task: ClassVar[TaskName]
    learning_rate = 0.01

    @classmethod
    def loss(cls, model: Predictor, inputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """What training lowers, here from the outputs alone; override it where parameters act in training only.

        `targets` are labels or answers `[rows]`, tags `[rows, source]` (-100 past a row's length) or items `[rows]`.
        """
        outputs = model(inputs)
        if cls.task == "recommend":
            return -(outputs["scores"].log_softmax(dim=-1) * (outputs["candidates"] == targets[:, None])).nansum()
        scores = outputs["emissions" if cls.task == "tag" else "scores"]
        return F.cross_entropy(scores.flatten(0, -2), targets.flatten())

    @pytest.fixture(scope="class")
    @classmethod
    def graph(cls, model: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Exported:
        """Graphs by kind, each exported once, on an example of other sizes than the tests use."""
        configure_threads(1)
        folder: Path = tmp_path_factory.mktemp("graphs")
        example = tensors(random_batch(model, "traced", seed=11))
        sessions: dict[GraphKind, InferenceSession] = {}

        def session(kind: GraphKind) -> InferenceSession:
            if kind not in sessions:
                path = folder / f"{kind}.onnx"
                ir.save(trace(model, kind, example), path)
                sessions[kind] = create_session(path, "cpu")
            return sessions[kind]

        return session

    def test_outputs_are_those_the_signature_declares(self, model: Predictor) -> None:
        assert check_task(self.task, model.signature) == []
        batch = random_batch(model, "mixed", seed=1)
        sizes = batch_sizes(model, batch)
        for kind in model.signature.graph_kinds():
            computed = compute(model, kind, batch)
            for tensor in model.signature.graph(kind)[1]:
                value = computed[tensor.name]
                assert value.shape == tuple(sizes.get(str(axis), axis) for axis in tensor.axes), tensor.name
                assert value.dtype == np.dtype(tensor.dtype), tensor.name
                assert not np.isnan(value).any(), tensor.name

    def test_gradient_reaches_every_parameter(self, model: Predictor) -> None:
        inputs, targets = self._lesson(model)
        model.zero_grad()
        self.loss(model, inputs, targets).backward()
        idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        model.zero_grad()
        assert idle == []

    def test_overfits_a_few_rows(self, request: pytest.FixtureRequest, model: Predictor) -> None:
        learner = self.create(request.node.callspec.params["model"])
        inputs, targets = self._lesson(learner)
        learner.train()
        optimiser = torch.optim.Adam(learner.parameters(), lr=self.learning_rate)
        for _ in range(self.steps):
            optimiser.zero_grad()
            loss = self.loss(learner, inputs, targets)
            loss.backward()
            optimiser.step()
            if self._knows(learner, inputs, targets):
                return
        pytest.fail(f"loss {loss.item():.3f} after {self.steps} steps")

    def test_a_row_alone_equals_the_row_in_a_padded_batch(self, model: Predictor) -> None:
        rows = random_rows(model.signature, "mixed", seed=5)
        for kind in model.signature.graph_kinds():
            together = own_parts(model, kind, rows, pad_rows(model.signature.inputs, rows))
            for row, beside in zip(rows, together, strict=True):
                alone = own_parts(model, kind, [row], pad_rows(model.signature.inputs, [row]))[0]
                self._same(model, kind, alone, beside)

    def test_what_stands_in_the_padding_does_not_matter(self, model: Predictor) -> None:
        rows = random_rows(model.signature, "mixed", seed=6)
        clean = pad_rows(model.signature.inputs, rows)
        for kind in model.signature.graph_kinds():
            expected = own_parts(model, kind, rows, clean)
            found = own_parts(model, kind, rows, fill_padding(clean, seed=7))
            for one, other in zip(expected, found, strict=True):
                self._same(model, kind, one, other)

    @pytest.mark.parametrize("shape", ["mixed", "single"])
    def test_exported_graphs_equal_the_model_at_other_sizes(
        self, model: Predictor, graph: Exported, shape: str
    ) -> None:
        batch = random_batch(model, shape, seed=8)
        for kind in model.signature.graph_kinds():
            inputs, outputs = model.signature.graph(kind)
            names = [tensor.name for tensor in outputs]
            found = graph(kind).run(names, {tensor.name: batch[tensor.name] for tensor in inputs})
            self._same(model, kind, compute(model, kind, batch), dict(zip(names, found, strict=True)))

    def test_attention_is_zero_on_padding_and_sums_to_one(self, model: Predictor) -> None:
        if not model.signature.explains:
            with pytest.raises(TypeError, match="declares no attention"):
                model.explain({})
            return
        batch = random_batch(model, "mixed", seed=9)
        maps = compute(model, "explain", batch)
        for attention in model.signature.attention:
            weights = maps[attention.name]
            axes = ("rows", *attention.axes)
            seen = axis_mask(batch, axes, len(axes) - 1)
            assert (np.where(seen, 0, weights) == 0).all(), attention.name
            looking = np.ones(weights.shape, dtype=bool)
            for place in range(1, len(axes) - 1):
                looking &= True if isinstance(axes[place], int) else axis_mask(batch, axes, place)
            totals = weights.sum(axis=-1)[looking[..., 0]]
            assert (totals > 0).all(), attention.name
            if attention.normalised:
                np.testing.assert_allclose(totals, 1, rtol=0, atol=TOLERANCE, err_msg=attention.name)

    @classmethod
    def _lesson(cls, model: Predictor) -> tuple[dict[str, Tensor], Tensor]:
        """A batch and what it should give: each label or answer in turn, tags of words, an item for each session."""
        rows = [dict(row) for row in random_rows(model.signature, "mixed", seed=2)]
        if cls.task == "recommend":
            for row in rows:
                row |= {"filter_ids": np.zeros(1, np.int64), "filter_mode": np.array(0), "k": np.array(VOCABULARY - 1)}
        batch = pad_rows(model.signature.inputs, rows)
        inputs = tensors(batch)
        with torch.no_grad():
            outputs = model(inputs)
        if cls.task == "recommend":
            return inputs, torch.arange(1, len(rows) + 1)
        if cls.task != "tag":
            return inputs, torch.arange(len(rows)) % outputs["scores"].shape[-1]
        tags = inputs["source_ids"] % outputs["emissions"].shape[-1]
        return inputs, tags.masked_fill(~torch.from_numpy(real_positions(batch, "source_ids")), -100)

    @classmethod
    def _knows(cls, model: Predictor, inputs: Mapping[str, Tensor], targets: Tensor) -> bool:
        with torch.no_grad():
            outputs = model(inputs)
        if cls.task == "recommend":
            return torch.equal(outputs["candidates"][:, 0], targets)
        best = outputs["emissions" if cls.task == "tag" else "scores"].argmax(dim=-1)
        return bool(((best == targets) | (targets == -100)).all())

    @staticmethod
    def _same(model: Predictor, kind: GraphKind, expected: Batch, found: Batch) -> None:
        for name, error in output_errors(model.signature, kind, {}, expected, found).items():
            assert error <= TOLERANCE, f"{kind} {name}"


def random_batch(model: Predictor, shape: str, seed: int) -> Batch:
    """Rows of `random_rows` as one batch."""
    return pad_rows(model.signature.inputs, random_rows(model.signature, shape, seed))


def batch_sizes(model: Predictor, batch: Mapping[str, Array]) -> dict[str, int]:
    """Size of every named axis of a batch, k included."""
    whole = {t.name: batch[t.name][0] if t.axes else batch[t.name] for t in model.signature.inputs}
    return {"rows": len(batch[model.signature.inputs[0].name]), **row_sizes(model.signature, whole)}


def tensors(batch: Mapping[str, Array]) -> dict[str, Tensor]:
    """A batch as PyTorch takes it."""
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@torch.no_grad()
def compute(model: Predictor, kind: GraphKind, batch: Mapping[str, Array]) -> Batch:
    """One graph of a model, by PyTorch."""
    module = graph_module(model, kind)
    outputs = module(*(torch.from_numpy(batch[name]) for name in module.input_names))
    return {name: value.numpy() for name, value in zip(module.output_names, outputs, strict=True)}


def own_parts(model: Predictor, kind: GraphKind, rows: Sequence[Row], batch: Mapping[str, Array]) -> list[Batch]:
    """The outputs of each row of a batch, cut to the row's own sizes."""
    sizes = [row_sizes(model.signature, row) for row in rows]
    return split_rows(model.signature.graph(kind)[1], compute(model, kind, batch), sizes)
