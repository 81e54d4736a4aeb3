"""Feeds a known target to a generator step by step: in PyTorch, and through the slots that serve it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from contract.signature import GenerateSignature, GraphKind
from export.trace import trace
from models.architecture import Generator, Tensors
from service.runtime.session import InferenceSession
from service.runtime.slots import Slots
from service.runtime.stepper import Encoder, Stepper
from service.runtime.storage import CpuStorage

SPECIAL = 4
"""Ids below are pad, unk, bos and eos."""
BOS = 2


@dataclass(frozen=True)
class Batch:
    """A padded batch: the encode inputs and a target that starts with BOS."""

    inputs: dict[str, Tensor]
    target_ids: Tensor

    @property
    def lengths(self) -> Tensor:
        """`[rows]`."""
        return self.inputs["source_lengths"]

    def row(self, index: int) -> Batch:
        """One row alone, without its padding."""
        length = int(self.lengths[index])
        inputs = {
            "source_ids": self.inputs["source_ids"][index : index + 1, :length],
            "source_lengths": self.lengths[index : index + 1],
        }
        return Batch(inputs, self.target_ids[index : index + 1])


def random_batch(lengths: tuple[int, ...], target: int, vocabulary: int, seed: int) -> Batch:
    """Random ids, in the padding as well: nothing may depend on what stands there."""
    draw = torch.Generator().manual_seed(seed)
    rows = len(lengths)
    source_ids = torch.randint(SPECIAL, vocabulary, (rows, max(lengths)), generator=draw)
    target_ids = torch.randint(SPECIAL, vocabulary, (rows, target), generator=draw)
    target_ids[:, 0] = BOS
    return Batch({"source_ids": source_ids, "source_lengths": torch.tensor(lengths)}, target_ids)


def start(model: Generator, inputs: Tensors, capacity: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Statics and states by name before the first step, states along the target axis with the given capacity."""
    known = {**inputs, **model.encode(inputs)}
    rows = len(next(iter(inputs.values())))
    states = {
        state.name: known[state.initial]
        if state.initial is not None
        else torch.zeros(rows, *(axis if isinstance(axis, int) else capacity for axis in state.axes[1:]))
        for state in model.signature.states
    }
    return {static.name: known[static.name] for static in model.signature.statics}, states


@torch.no_grad()
def unroll(model: Generator, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Logits `[rows, target, vocabulary]` and attention `[rows, target, source]` of one `step` after another."""
    target = batch.target_ids.shape[1]
    statics, states = start(model, batch.inputs, target)
    logits, maps = [], []
    for index in range(target):
        position = torch.full_like(batch.lengths, index)
        scores, states, attention = model.step(batch.target_ids[:, index], position, statics, states)
        logits.append(scores)
        if attention is not None:
            maps.append(attention)
    return torch.stack(logits, dim=1), torch.stack(maps, dim=1) if maps else None


@torch.no_grad()
def attention_map(model: Generator, batch: Batch) -> Tensor:
    """Attention `[rows, target, source]` by the graph that the signature declares for it."""
    if model.signature.explain == "explain":
        return model.explain(batch.inputs, batch.target_ids)
    _, attention = unroll(model, batch)
    assert attention is not None
    return attention


@torch.no_grad()
def graph_inputs(model: Generator, kind: GraphKind, batch: Batch, step: int, k: int) -> dict[str, Tensor]:
    """Inputs of one graph; for a step graph those of position `step`, rows having reached it one after another."""
    known = {**batch.inputs, "target_ids": batch.target_ids}
    if kind in ("step", "explain_step"):
        statics, states = start(model, batch.inputs, batch.target_ids.shape[1])
        for index in range(step):
            position = torch.full_like(batch.lengths, index)
            _, states, _ = model.step(batch.target_ids[:, index], position, statics, states)
        position = torch.full_like(batch.lengths, step)
        known |= {"token_ids": batch.target_ids[:, step], "position": position, "k": torch.tensor(k)}
        known |= statics | states
    return {tensor.name: known[tensor.name] for tensor in model.signature.graph(kind)[0]}


def blank_unwritten(model: Generator, output: str, value: np.ndarray, batch: Batch, step: int) -> np.ndarray:
    """An output of a graph, with zeros where a state holds nothing yet at position `step`: graphs may leave anything.

    Written are a memory's real positions, and the positions up to this step of what grows along the target.
    """
    for state in model.signature.states:
        if output == state.successor and state.write in ("at_position", "unchanged"):
            axis = state.axes.index("source" if state.write == "unchanged" else "target")
            ends = batch.lengths.numpy() if state.write == "unchanged" else np.full(len(value), step + 1)
            written = np.arange(value.shape[axis]) < ends[:, None]
            trailing = (1,) * (value.ndim - axis - 1)
            return np.where(written.reshape(len(value), *(1,) * (axis - 1), -1, *trailing), value, np.float32(0))
    return value


def save_graph(model: Generator, kind: GraphKind, example: Batch, folder: Path) -> Path:
    """Trace one graph on an example batch and write it."""
    path = folder / f"{kind}.onnx"
    ir.save(trace(model, kind, graph_inputs(model, kind, example, step=2, k=3)), path)
    return path


class SlotRollout:
    """Rows that join, step and leave in the slots of the decoding engine, over the exported graphs.

    `k` is the vocabulary's size, so that every log-probability comes back.
    """

    def __init__(
        self, signature: GenerateSignature, encode: InferenceSession, step: InferenceSession, slots: int, k: int
    ) -> None:
        self._encoder = Encoder(encode, signature, "cpu")
        self._k = k
        self.limits = {"source": 16, "target": 16}
        self.slots = Slots(signature, slots, self.limits, CpuStorage)
        self._stepper = Stepper(step, self.slots, "cpu", k)
        self.rows: list[int] = []
        self._steps: dict[int, int] = {}

    def join(self, batch: Batch, rows: list[int]) -> None:
        """Encode some rows of a batch, cut to the longest of them, and give them slots."""
        source = int(batch.lengths[rows].max())
        inputs = {
            "source_ids": batch.inputs["source_ids"][rows, :source].numpy(),
            "source_lengths": batch.lengths[rows].numpy(),
        }
        self.slots.join(self._encoder.run(inputs), len(rows))
        self.rows += rows
        self._steps |= dict.fromkeys(rows, 0)

    def step(self, batch: Batch) -> dict[int, np.ndarray]:
        """Feed every live row its next known token; returns its log-probabilities `[vocabulary]` by row."""
        for slot, row in enumerate(self.rows):
            self._stepper.token_ids[slot] = batch.target_ids[row, self._steps[row]]
            self._stepper.positions[slot] = self._steps[row]
        candidates, scores = self._stepper.step(self._k)
        found = {}
        for slot, row in enumerate(self.rows):
            found[row] = np.empty(self._k, dtype=np.float32)
            found[row][candidates[slot]] = scores[slot]
            self._steps[row] += 1
        return found

    def leave(self, row: int) -> None:
        """Free a row's slot; the last live row moves into the hole."""
        holes, moved = self.slots.leave(np.array([self.rows.index(row)]), filled={})
        for hole, other in zip(holes, moved, strict=True):
            self.rows[hole] = self.rows[other]
        del self.rows[self.slots.live :]
