"""A Transformer without a source: each position sees those before it (Radford et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from contract.signature import State
from models.architecture import Tensors
from models.layers.circular import last_positions
from models.layers.exportable import axis_size
from models.layers.transformer import CausalLayer, LayerShape
from models.layers.transformer_decoder import KINDS, cache_state


class CausalTransformer(nn.ModuleList):
    """Causal layers, and the caches by which they step: a key and a value cache per layer, filled for the prompt.

    With a `window` each position sees so many, itself among them, and the caches are windows too.
    """

    def __init__(self, layers: int, shape: LayerShape) -> None:
        super().__init__(CausalLayer(shape) for _ in range(layers))
        self.shape = shape

    def states(self) -> tuple[State, ...]:
        """The states, as the signature lists them."""
        heads, size = self.shape.num_heads, self.shape.head_size
        return tuple(
            cache_state(name, heads, size, window=self.shape.window, initial=name)
            for names in self._names()
            for name in names
        )

    def forward(self, x: Tensor) -> Tensor:
        """All positions at once: `x [rows, time, hidden]`, embedded tokens → output of the last layer."""
        for layer in self:
            x = layer(x)
        return x

    def fill(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """What `encode` returns: the caches by name after the first `lengths [rows]` of `x [rows, time, hidden]`.

        They are `[rows, heads, time, size]`, or of a window's size in place of the time. What stands in the padding of
        a row is of no use: steps write over it before they look at it.
        """
        caches: dict[str, Tensor] = {}
        for layer, names in zip(self, self._names(), strict=True):
            x, *filled = layer.fill(x)
            if self.shape.window is not None:
                filled = [last_positions(cache, lengths, self.shape.window) for cache in filled]
            caches |= zip(names, filled, strict=True)
        return caches

    def step(self, x: Tensor, position: Tensor, states: Tensors) -> tuple[Tensor, dict[str, Tensor]]:
        """One position of every row.

        Args:
            x: embedded token, `[rows, 1, hidden]`.
            position: `[rows]`, its position.
            states: by name, as `states` lists them.

        Returns:
            output of the last layer, `[rows, 1, hidden]`, and the states after it.
        """
        here, capacity = position.to(torch.int32), axis_size(states["layer.0.key"], 2)
        following: dict[str, Tensor] = {}
        for layer, names in zip(self, self._names(), strict=True):
            x, *after = layer.step(x, here, capacity, *(states[name] for name in names))
            following |= zip(names, after, strict=True)
        return x, following

    def _names(self) -> list[list[str]]:
        """Names of the caches of each layer."""
        return [[f"layer.{i}.{kind}" for kind in KINDS] for i in range(len(self))]
