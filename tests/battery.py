"""The checks that every registered architecture of the generate shape must pass, in every variant.

A test file gives the architecture's name, tiny sizes and the axes along which its variants differ:

    class TestTransformer(Battery):
        architecture = "transformer"
        sizes = {"hidden_size": 16, …}
        axes = {"encoder_layers": (1, 2), …}
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from contract.signature import GraphKind
from contract.tasks import TaskName, check_task
from export.graphs import graph_module
from models.architecture import Generator, Tensors
from service.runtime.session import InferenceSession, configure_threads, create_session
from tests.architecture_battery import TOLERANCE, ArchitectureBattery
from tests.rollout import (
    Batch,
    SlotRollout,
    attention_map,
    blank_unwritten,
    graph_inputs,
    random_batch,
    save_graph,
    unroll,
)

VOCABULARY = 19
LENGTHS = (3, 1, 7, 2, 5, 4, 6)
"""Source lengths of a batch: from 1 to the longest, in no order."""
TARGET = 6
LONG_TARGET = 14
CHECK_STEPS = 5
"""How often it is tried whether a model has learnt its examples."""

Exported = Callable[[GraphKind], InferenceSession]


class Battery(ArchitectureBattery):
    """Base class of the tests of generators; the fixture `graph` too is made once for each variant."""

    task: ClassVar[TaskName] = "translate"
    vocabulary: ClassVar[int] = VOCABULARY
    """Number of ids that the architecture chooses from."""
    vocabularies = {"source_vocabulary_size": VOCABULARY, "target_vocabulary_size": VOCABULARY}

    @classmethod
    def batch(cls, lengths: tuple[int, ...], target: int, seed: int) -> Batch:
        """Random inputs and targets, a row for each of the source lengths."""
        return random_batch(lengths, target, VOCABULARY, seed)

    def loss(self, model: Generator, inputs: Tensors, target_ids: Tensor, labels: Tensor) -> Tensor:
        """What is minimised where the architecture is to learn, of a model in training."""
        return F.cross_entropy(model(inputs, target_ids).flatten(0, 1), labels.flatten())

    @pytest.fixture(scope="class")
    @classmethod
    def graph(cls, model: Generator, tmp_path_factory: pytest.TempPathFactory) -> Exported:
        """Graphs by kind, each exported once, on an example of other sizes than the tests use."""
        configure_threads(1)
        folder: Path = tmp_path_factory.mktemp("graphs")
        example = cls.batch((4, 2, 3), 5, seed=11)
        sessions: dict[GraphKind, InferenceSession] = {}

        def session(kind: GraphKind) -> InferenceSession:
            if kind not in sessions:
                sessions[kind] = create_session(save_graph(model, kind, example, folder), "cpu")
            return sessions[kind]

        return session

    def test_tensors_are_those_the_signature_declares(self, model: Generator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=1)
        assert check_task(self.task, model.signature) == []
        with torch.no_grad():
            encoded = model.encode(batch.inputs)
            logits = model(batch.inputs, batch.target_ids)
        declared = model.signature.graph("encode")[1]
        assert {tensor.name for tensor in declared} == set(encoded)
        sizes = {"rows": len(LENGTHS), "source": max(LENGTHS), "target": batch.room(0)}
        for tensor in declared:
            assert encoded[tensor.name].shape == tuple(sizes.get(axis, axis) for axis in tensor.axes), tensor.name
            assert encoded[tensor.name].dtype == getattr(torch, tensor.dtype), tensor.name
        assert logits.shape == (len(LENGTHS), TARGET, self.vocabulary)

    def test_gradient_reaches_every_parameter(self, model: Generator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=2)
        model.zero_grad()
        torch.manual_seed(2)
        self.loss(model.train(), batch.inputs, batch.target_ids[:, :-1], batch.target_ids[:, 1:]).backward()
        idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        model.eval().zero_grad()
        assert idle == []

    def test_overfits_eight_examples(self, request: pytest.FixtureRequest, model: Generator) -> None:
        learner = self.create(request.node.callspec.params["model"])
        batch = self.batch((3, 5, 4, 2, 5, 3, 4, 5), TARGET, seed=3)
        inputs, labels = batch.target_ids[:, :-1], batch.target_ids[:, 1:]
        optimiser = torch.optim.Adam(learner.parameters(), lr=self.learning_rate)
        for step in range(1, self.steps + 1):
            loss = self.loss(learner.train(), batch.inputs, inputs, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % CHECK_STEPS == 0 and torch.equal(predict(learner, batch.inputs, inputs), labels):
                return
        pytest.fail(f"loss {loss.item():.3f} after {self.steps} steps")

    @pytest.mark.parametrize("target", [TARGET, LONG_TARGET])
    def test_steps_equal_the_whole_target_at_once(self, model: Generator, target: int) -> None:
        batch = self.batch(LENGTHS, target, seed=4)
        with torch.no_grad():
            full = model(batch.inputs, batch.target_ids)
            stepped, _ = unroll(model, batch)
        assert full.isfinite().all()
        torch.testing.assert_close(stepped, full, rtol=0, atol=TOLERANCE)

    def test_a_row_alone_equals_the_row_in_a_padded_batch(self, model: Generator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=5)
        with torch.no_grad():
            together = model(batch.inputs, batch.target_ids)
            for index in range(len(LENGTHS)):
                row = batch.rows([index])
                alone = model(row.inputs, row.target_ids)[0]
                torch.testing.assert_close(together[index], alone, rtol=0, atol=TOLERANCE)

    def test_slots_equal_the_whole_target_at_once(self, model: Generator, graph: Exported) -> None:
        batch = self.batch(LENGTHS, LONG_TARGET, seed=6)
        with torch.no_grad():
            expected = model(batch.inputs, batch.target_ids).log_softmax(dim=-1).numpy()
        rollout = SlotRollout(model.signature, graph("encode"), graph("step"), slots=len(LENGTHS), k=self.vocabulary)
        seen = dict.fromkeys(range(len(LENGTHS)), 0)

        def step(times: int) -> None:
            for _ in range(times):
                for row, scores in rollout.step(batch).items():
                    np.testing.assert_allclose(scores, expected[row, seen[row]], rtol=0, atol=TOLERANCE)
                    seen[row] += 1

        rollout.resize(source=3, target=batch.room(4))
        rollout.join(batch, [0, 1])
        step(3)
        rollout.resize(source=7, target=batch.room(8))
        rollout.join(batch, [2, 3, 4])
        step(2)
        rollout.leave(0)
        step(1)
        rollout.join(batch, [5, 6])
        rollout.resize(target=batch.room(14))
        step(8)
        assert seen == {0: 5, 1: 14, 2: 11, 3: 11, 4: 11, 5: 8, 6: 8}

    def test_exported_graphs_equal_the_model_at_other_sizes(self, model: Generator, graph: Exported) -> None:
        batches = [self.batch(LENGTHS, LONG_TARGET, seed=7), self.batch((1,), 2, seed=8)]
        for kind in model.signature.graph_kinds():
            for batch in batches:
                self._compare(model, kind, graph(kind), batch)

    def test_attention_is_zero_on_padding_and_sums_to_one(self, model: Generator) -> None:
        attention = model.signature.attention
        if attention is None:
            with torch.no_grad():
                batch = self.batch(LENGTHS, 2, seed=9)
                assert unroll(model, batch)[1] is None
            return
        batch = self.batch(LENGTHS, LONG_TARGET, seed=9)
        with torch.no_grad():
            weights = attention_map(model, batch)
        source = attention.axes[-1] if isinstance(attention.axes[-1], int) else max(LENGTHS)
        assert weights.shape == (len(LENGTHS), LONG_TARGET, source)
        padding = ~batch.real(source).unsqueeze(1)
        assert (weights.masked_select(padding) == 0).all()
        totals = weights.sum(dim=-1)
        assert (totals > 0).all()
        if attention.normalised:
            torch.testing.assert_close(totals, torch.ones_like(totals), rtol=0, atol=TOLERANCE)

    @staticmethod
    def _compare(model: Generator, kind: GraphKind, session: InferenceSession, batch: Batch) -> None:
        step = batch.target_ids.shape[1] - 1
        with torch.no_grad():
            inputs = graph_inputs(model, kind, batch, step, k=5)
            expected = graph_module(model, kind)(*inputs.values())
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        for tensor, *both in zip(model.signature.graph(kind)[1], expected, found, strict=True):
            ours, theirs = (blank_unwritten(model, tensor.name, np.asarray(value), batch, step) for value in both)
            message = f"{kind} {tensor.name}"
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=TOLERANCE, err_msg=message, strict=True)


@torch.no_grad()
def predict(model: Generator, inputs: Tensors, target_ids: Tensor) -> Tensor:
    """The likeliest token at each position of known targets, `[rows, target]`, by a model as it is served."""
    likeliest: Tensor = model.eval()(inputs, target_ids).argmax(dim=-1)
    return likeliest
