"""The decoder of a Transformer, from a memory that is read once to what is known at a position."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contract.axes import Axis
from contract.signature import State
from contract.signature import Tensor as TensorSpec
from models.architecture import Tensors
from models.layers.exportable import axis_size
from models.layers.transformer import DecoderLayer, LayerShape, StepMemory

Memory = list[tuple[Tensor, Tensor]]
"""Keys and values of every layer, `[rows, heads, source, hidden / heads]`."""

KINDS = ("key", "value")
"""What a layer keeps of each position, and what its names end with."""


class TransformerDecoder(nn.ModuleList):
    """Decoder layers, and the tensors by which they step.

    States: a key and a value cache per layer, and the memory projected for it, which no step changes; statics: what
    stands at the memory's last position. With a `window` each position sees so many, itself among them, and the caches
    are windows too.
    """

    def __init__(self, layers: int, shape: LayerShape) -> None:
        super().__init__(DecoderLayer(shape) for _ in range(layers))
        self.shape = shape

    def statics(self) -> tuple[TensorSpec, ...]:
        """The statics, as the signature lists them."""
        return tuple(
            TensorSpec(name=f"layer.{i}.last_{kind}", dtype="float32", axes=("rows", 1, self.shape.hidden_size))
            for i in range(len(self))
            for kind in KINDS
        )

    def states(self, source: Axis) -> tuple[State, ...]:
        """The states, as the signature lists them, over a memory whose positions are that axis."""
        heads, size = self.shape.num_heads, self.shape.head_size
        return tuple(
            state
            for i in range(len(self))
            for kind in KINDS
            for state in (
                cache_state(f"layer.{i}.{kind}", heads, size, window=self.shape.window),
                State(
                    name=f"layer.{i}.memory_{kind}",
                    dtype="float32",
                    axes=("rows", heads, source, size),
                    initial=f"layer.{i}.memory_{kind}",
                    write="unchanged",
                ),
            )
        )

    def project(self, memory: Tensor) -> Memory:
        """What every layer reads of `memory [rows, source, hidden]`."""
        return [layer.cross_attention.project(memory) for layer in self]

    def encoded(self, memory: Memory, lengths: Tensor) -> dict[str, Tensor]:
        """What `encode` returns: the memory, and what stands at its last position, `lengths [rows]` - 1."""
        rows = torch.arange(lengths.shape[0], device=lengths.device)  # len() would freeze the axis in the export
        encoded = {}
        for i, parts in enumerate(memory):
            for kind, projected in zip(KINDS, parts, strict=True):
                encoded[f"layer.{i}.memory_{kind}"] = projected
                last = projected[rows, :, lengths - 1]
                encoded[f"layer.{i}.last_{kind}"] = last.flatten(1).unsqueeze(1)
        return encoded

    def forward(self, x: Tensor, memory: Memory, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """All positions at once.

        Args:
            x: embedded target, `[rows, target, hidden]`.
            memory: from `project`.
            lengths: `[rows]`, real positions of the memory.

        Returns:
            output of the last layer and what it asked the memory, each `[rows, target, hidden]`.
        """
        query = x
        for layer, (keys, values) in zip(self, memory, strict=True):
            x, query = layer(x, keys, values, lengths)
        return x, query

    def explain(self, query: Tensor, memory: Memory, lengths: Tensor) -> Tensor:
        """Where the last layer's query looks: `[rows, target, source]`, the mean over its heads."""
        weights: Tensor = self[-1].cross_attention.weights(query, memory[-1][0], lengths)
        return weights

    def step(
        self, x: Tensor, position: Tensor, last: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One position of every row.

        Args:
            x: embedded token, `[rows, 1, hidden]`.
            position: `[rows]`, its position.
            last: `[rows]`, the memory's last real position.
            statics: by name, as `statics` lists them.
            states: by name, as `states` lists them.

        Returns:
            output of the last layer, `[rows, 1, hidden]`, and the states after it.
        """
        here, capacity = position.to(torch.int32), axis_size(states["layer.0.key"], 2)
        last, source = last.to(torch.int32), axis_size(states["layer.0.memory_key"], 2)
        following: dict[str, Tensor] = {}
        for i, layer in enumerate(self):
            names = [f"layer.{i}.{name}" for name in ("key", "value", "memory_key", "memory_value")]
            keys, values, memory_keys, memory_values = (states[name] for name in names)
            ends = statics[f"layer.{i}.last_key"], statics[f"layer.{i}.last_value"]
            memory = StepMemory(*ends, memory_keys, memory_values, last, source)
            x, after = layer.step(x, here, capacity, keys, values, memory)
            following |= zip(names, after, strict=True)
        return x, following


def cache_state(name: str, heads: int, size: int, *, window: int | None = None, initial: str | None = None) -> State:
    """The cache of one layer's keys or values, of all positions or a window of them.

    Each step goes on with it, from `initial` where there is a prompt.
    """
    axis, write = ("target", "at_position") if window is None else (window, "circular")
    return State.model_validate(
        {"name": name, "dtype": "float32", "axes": ("rows", heads, axis, size), "initial": initial, "write": write}
    )


def embed(embedding: nn.Module, ids: Tensor, positions: Tensor) -> Tensor:
    """Token vectors, scaled, with positions added (section 3.4).

    `ids [rows, time]`, `positions [time, hidden]` or `[rows, time, hidden]` → `[rows, time, hidden]`.
    """
    size = positions.shape[-1]
    scaled: Tensor = embedding(ids) * math.sqrt(size)
    return scaled + positions


def embed_step(embedding: nn.Module, token_ids: Tensor, position: Tensor, positions: Tensor) -> Tensor:
    """One token of every row: `token_ids [rows]` at `position [rows]` → `[rows, 1, hidden]`.

    The fused operators want the time axis; adding it once costs less than at each of them.
    """
    return embed(embedding, token_ids.unsqueeze(1), F.embedding(position.unsqueeze(1), positions))
