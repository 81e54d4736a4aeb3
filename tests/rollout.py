"""Feeds a known target to a generator step by step: in PyTorch, and through the slots that serve it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from contract.signature import GenerateSignature, GraphKind, State
from export.trace import trace
from models.architecture import Generator, Tensors
from service.runtime.session import InferenceSession
from service.runtime.slots import Slots, capacity_axes
from service.runtime.stepper import Encoder, Stepper
from service.runtime.storage import CpuStorage

SPECIAL = 4
"""Ids below are pad, unk, bos and eos."""
BOS = 2
_LONGEST = 24
"""Capacity of the slots."""


@dataclass(frozen=True)
class Batch:
    """A padded batch of texts, pictures or prompts: the encode inputs and a target that starts with BOS."""

    inputs: dict[str, Tensor]
    target_ids: Tensor

    @property
    def lengths(self) -> Tensor | None:
        """`[rows]`, real positions of the source; None of pictures, where all are, and of prompts."""
        return self.inputs.get("source_lengths")

    @property
    def starts(self) -> Tensor:
        """`[rows]`, the position of the target's first token: behind the prompt, where there is one."""
        return self.inputs.get("prompt_lengths", torch.zeros(len(self.target_ids), dtype=torch.int64))

    def room(self, target: int) -> int:
        """Positions that the longest prompt and `target` tokens take."""
        return int(self.starts.max()) + target

    def rows(self, indices: list[int]) -> Batch:
        """Some of the rows, cut to the longest of them."""
        inputs = {name: value[indices] for name, value in self.inputs.items()}
        if self.lengths is not None:
            inputs["source_ids"] = inputs["source_ids"][:, : int(self.lengths[indices].max())]
        if "prompt_ids" in inputs:
            inputs["prompt_ids"] = inputs["prompt_ids"][:, : max(1, int(self.starts[indices].max()))]
        return Batch(inputs, self.target_ids[indices])

    def at(self, index: int) -> Tensor:
        """`[rows]`, the position of every row's target token of that index."""
        return self.starts + index

    def real(self, size: int) -> Tensor:
        """`[rows, size]`, True at the real positions of a source axis of that size."""
        if self.lengths is None:
            return torch.ones(len(self.target_ids), size, dtype=torch.bool)
        return torch.arange(size) < self.lengths[:, None]


def random_batch(lengths: tuple[int, ...], target: int, vocabulary: int, seed: int) -> Batch:
    """Random ids, in the padding as well: nothing may depend on what stands there."""
    draw = torch.Generator().manual_seed(seed)
    source_ids = torch.randint(SPECIAL, vocabulary, (len(lengths), max(lengths)), generator=draw)
    inputs = {"source_ids": source_ids, "source_lengths": torch.tensor(lengths)}
    return Batch(inputs, _random_target(len(lengths), target, vocabulary, draw))


def random_pictures(rows: int, side: int, target: int, vocabulary: int, seed: int) -> Batch:
    """Pictures of 4 × 4 patches in shades of random colours, one for each picture, so that their means differ too."""
    draw = torch.Generator().manual_seed(seed)
    colours = torch.randint(192, (rows, 1, 1, 3), generator=draw)
    patches = (colours + torch.randint(64, (rows, 4, 4, 3), generator=draw)).to(torch.uint8)
    pixels = patches.repeat_interleave(side // 4, dim=1).repeat_interleave(side // 4, dim=2)
    return Batch({"pixels": pixels}, _random_target(rows, target, vocabulary, draw))


def random_prompts(lengths: tuple[int, ...], target: int, vocabulary: int, seed: int) -> Batch:
    """Prompts of these lengths, 0 among them, of random ids, in the padding as well."""
    draw = torch.Generator().manual_seed(seed)
    prompt_ids = torch.randint(SPECIAL, vocabulary, (len(lengths), max(1, *lengths)), generator=draw)
    inputs = {"prompt_ids": prompt_ids, "prompt_lengths": torch.tensor(lengths)}
    return Batch(inputs, _random_target(len(lengths), target, vocabulary, draw))


def _random_target(rows: int, target: int, vocabulary: int, draw: torch.Generator) -> Tensor:
    target_ids = torch.randint(SPECIAL, vocabulary, (rows, target), generator=draw)
    target_ids[:, 0] = BOS
    return target_ids


def start(model: Generator, inputs: Tensors, capacity: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Statics and states by name before the first step, states along the target axis with the given capacity."""
    known = {**inputs, **model.encode(inputs)}
    rows = len(next(iter(inputs.values())))
    states = {state.name: _initial(state, known, rows, capacity) for state in model.signature.states}
    return {static.name: known[static.name] for static in model.signature.statics}, states


def _initial(state: State, known: Tensors, rows: int, capacity: int) -> Tensor:
    given = None if state.initial is None else known[state.initial]
    if given is not None and state.write != "at_position":
        return given
    room = torch.zeros(rows, *(axis if isinstance(axis, int) else capacity for axis in state.axes[1:]))
    if given is not None:
        room[tuple(map(slice, given.shape))] = given
    return room


@torch.no_grad()
def unroll(model: Generator, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Logits `[rows, target, vocabulary]` and attention `[rows, target, source]` of one `step` after another."""
    target = batch.target_ids.shape[1]
    statics, states = start(model, batch.inputs, batch.room(target))
    logits, maps = [], []
    for index in range(target):
        scores, states, attention = model.step(batch.target_ids[:, index], batch.at(index), statics, states)
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
        statics, states = start(model, batch.inputs, batch.room(batch.target_ids.shape[1]))
        for index in range(step):
            _, states, _ = model.step(batch.target_ids[:, index], batch.at(index), statics, states)
        known |= {"token_ids": batch.target_ids[:, step], "position": batch.at(step), "k": torch.tensor(k)}
        known |= statics | states
    return {tensor.name: known[tensor.name] for tensor in model.signature.graph(kind)[0]}


def blank_unwritten(model: Generator, output: str, value: np.ndarray, batch: Batch, step: int) -> np.ndarray:
    """An output of a graph, with zeros where a state holds nothing yet at position `step`: graphs may leave anything.

    Written are a memory's real positions, and the positions up to this step of what grows along the target.
    """
    for state in model.signature.states:
        if output != state.successor or not {"source", "target"} & set(state.axes):
            continue
        axis = next(index for index, name in enumerate(state.axes) if name in ("source", "target"))
        size = value.shape[axis]
        grown = np.arange(size) <= batch.at(step).numpy()[:, None]
        written = grown if state.axes[axis] == "target" else batch.real(size).numpy()
        trailing = (1,) * (value.ndim - axis - 1)
        return np.where(written.reshape(len(value), *(1,) * (axis - 1), size, *trailing), value, np.float32(0))
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
        self.slots = Slots(signature, slots, dict.fromkeys(capacity_axes(signature), _LONGEST), CpuStorage)
        self._stepper = Stepper(step, self.slots, "cpu", k)
        self.rows: list[int] = []
        self._steps: dict[int, int] = {}

    def join(self, batch: Batch, rows: list[int]) -> None:
        """Encode some rows of a batch, cut to the longest of them, and give them slots."""
        inputs = {name: value.numpy() for name, value in batch.rows(rows).inputs.items()}
        self.slots.join(self._encoder.run(inputs), len(rows))
        self.rows += rows
        self._steps |= dict.fromkeys(rows, 0)

    def resize(self, **capacities: int) -> None:
        """Change the capacity of axes; those that nothing is kept along are left out."""
        self.slots.resize({axis: size for axis, size in capacities.items() if axis in self.slots.limits})

    def step(self, batch: Batch) -> dict[int, np.ndarray]:
        """Feed every live row its next known token; returns its log-probabilities `[vocabulary]` by row."""
        for slot, row in enumerate(self.rows):
            self._stepper.token_ids[slot] = batch.target_ids[row, self._steps[row]]
            self._stepper.positions[slot] = batch.starts[row] + self._steps[row]
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
