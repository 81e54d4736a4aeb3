"""Transformer layers (Vaswani et al. 2017): the norm first (Xiong et al. 2020), or last as in BERT."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.dropout import Dropout
from models.layers.exportable import (
    attention,
    cached_attention,
    length_mask,
    memory_attention,
    merge_heads,
    self_attention,
    split_heads,
)
from models.layers.local_attention import local_attention, windowed_step

Activation = Callable[[Tensor], Tensor]


def sinusoids(length: int, hidden_size: int) -> Tensor:
    """Position encodings `[length, hidden]`: sines in the first half, cosines in the second (section 3.5)."""
    half = hidden_size // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10_000.0) / max(half - 1, 1)))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def check_heads(hidden_size: int, num_heads: int) -> None:
    """Whether the sizes of a Transformer go together.

    Raises:
        ValueError: they do not.
    """
    if hidden_size % num_heads or hidden_size % 2:
        raise ValueError(f"hidden_size {hidden_size} must be even and divisible by num_heads {num_heads}")


class LayerShape(NamedTuple):
    """Sizes of a layer, and what it drops in training; a `window` bounds what its causal self-attention sees."""

    hidden_size: int
    num_heads: int
    feed_forward_size: int
    dropout: float
    activation_dropout: float = 0.0
    window: int | None = None

    @property
    def head_size(self) -> int:
        """Size of one head."""
        return self.hidden_size // self.num_heads


class StepMemory(NamedTuple):
    """A projected memory as one step sees it: the arguments of `memory_attention` behind the query, in its order."""

    last_key: Tensor
    last_value: Tensor
    keys: Tensor
    values: Tensor
    last: Tensor
    capacity: Tensor


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence over itself, with one matrix for queries, keys and values.

    Where it is causal, a `window` lets each position see no more than so many, itself among them (Parmar et al. 2018);
    then a cache of as many positions is enough, written in a circle. `distance_bias [heads, window]` is what each head
    makes of how far back they lie, from nothing at first.
    """

    def __init__(self, hidden_size: int, num_heads: int, window: int | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.distance_bias = None if window is None else nn.Parameter(torch.zeros(num_heads, window))
        nn.init.xavier_uniform_(self.query_key_value.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.output.weight)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """`x [rows, time, hidden]` → same shape; each row sees its first `lengths [rows]`, None means causal."""
        return self._attend(self.query_key_value(x), lengths)

    def weights(self, x: Tensor, lengths: Tensor) -> Tensor:
        """What each position looks at: `[rows, time, time]`, the mean over heads; sums to 1 over the last axis."""
        query, key, _ = self.query_key_value(x).chunk(3, dim=-1)
        return mean_weights(split_heads(query, self.num_heads), split_heads(key, self.num_heads), lengths)

    def fill(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Causal: `x [rows, time, hidden]` → same shape, and the caches of its steps, `[rows, heads, time, size]`."""
        query_key_value = self.query_key_value(x)
        _, key, value = query_key_value.chunk(3, dim=-1)
        return self._attend(query_key_value, None), split_heads(key, self.num_heads), split_heads(value, self.num_heads)

    def step(
        self, x: Tensor, position: Tensor, capacity: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`x [rows, 1, hidden]` at `position [rows]`, caches `[rows, heads, target, size]` → output and caches."""
        query_key_value = self.query_key_value(x)
        if self.distance_bias is None:
            attended, keys, values = cached_attention(query_key_value, keys, values, position, capacity)
        else:
            attended, keys, values = windowed_step(query_key_value, keys, values, position, self.distance_bias)
        return self.output(attended), keys, values

    def _attend(self, query_key_value: Tensor, lengths: Tensor | None) -> Tensor:
        if self.distance_bias is None or lengths is not None:
            attended = self_attention(query_key_value, lengths, self.num_heads)
        else:
            attended = local_attention(query_key_value, self.distance_bias)
        projected: Tensor = self.output(attended)
        return projected


class CrossAttention(nn.Module):
    """Multi-head attention over an encoder's memory, whose keys and values are projected once."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key_value = nn.Linear(hidden_size, 2 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        nn.init.xavier_uniform_(self.query.weight)
        nn.init.xavier_uniform_(self.key_value.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.output.weight)

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """`memory [rows, source, hidden]` → its keys and values, `[rows, heads, source, size]` each."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return split_heads(key, self.num_heads), split_heads(value, self.num_heads)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """`x [rows, target, hidden]` over the first `lengths [rows]` of the memory → same shape as `x`."""
        attended = attention(split_heads(self.query(x), self.num_heads), keys, values, lengths)
        projected: Tensor = self.output(merge_heads(attended))
        return projected

    def step(self, x: Tensor, memory: StepMemory) -> tuple[Tensor, Tensor, Tensor]:
        """One position of every row: `x [rows, 1, hidden]` → same shape, and the memory as it was."""
        attended, keys, values = memory_attention(self.query(x), *memory)
        return self.output(attended), keys, values

    def weights(self, x: Tensor, keys: Tensor, lengths: Tensor) -> Tensor:
        """What `x [rows, target, hidden]` looks at: `[rows, target, source]`, the mean over heads; sums to 1."""
        return mean_weights(split_heads(self.query(x), self.num_heads), keys, lengths)


def mean_weights(query: Tensor, keys: Tensor, lengths: Tensor) -> Tensor:
    """Attention over the first `lengths [rows]` keys: `[rows, queries, keys]`, the mean over heads.

    `query [rows, heads, queries, size]`, `keys [rows, heads, keys, size]`.
    """
    scores = query @ keys.transpose(-1, -2) / math.sqrt(query.shape[-1])
    mask = length_mask(lengths, keys.shape[2])[:, None, None]
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).mean(dim=1)


class FeedForward(nn.Module):
    """Two affine maps with a nonlinearity between them, on each position alone."""

    def __init__(
        self, hidden_size: int, feed_forward_size: int, dropout: float, activation: Activation = F.relu
    ) -> None:
        super().__init__()
        self.activation = activation
        self.inner = nn.Linear(hidden_size, feed_forward_size)
        self.outer = nn.Linear(feed_forward_size, hidden_size)
        self.dropout = Dropout(dropout)
        nn.init.xavier_uniform_(self.inner.weight)
        nn.init.xavier_uniform_(self.outer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`[…, hidden]` → `[…, hidden]`."""
        mapped: Tensor = self.outer(self.dropout(self.activation(self.inner(x))))
        return mapped


class PreNormLayer(nn.Module):
    """Self-attention and feed-forward, each normalised first and added to its input: what layers of all kinds share."""

    def __init__(self, shape: LayerShape) -> None:
        super().__init__()
        self.self_attention_norm = nn.LayerNorm(shape.hidden_size)
        self.self_attention = SelfAttention(shape.hidden_size, shape.num_heads, shape.window)
        self.feed_forward_norm = nn.LayerNorm(shape.hidden_size)
        self.feed_forward = FeedForward(shape.hidden_size, shape.feed_forward_size, shape.activation_dropout)
        self.dropout = Dropout(shape.dropout)

    def attend(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The first half: `x [rows, time, hidden]`, `lengths [rows]` (None: causal) → same shape as `x`."""
        return x + self.dropout(self.self_attention(self.self_attention_norm(x), lengths))

    def attend_step(
        self, x: Tensor, position: Tensor, capacity: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The first half of one position of every row: `x [rows, 1, hidden]` → its next value, and the caches."""
        attended, keys, values = self.self_attention.step(self.self_attention_norm(x), position, capacity, keys, values)
        return x + attended, keys, values

    def feed(self, x: Tensor) -> Tensor:
        """The last part, on each position alone: `x [rows, time, hidden]` → same shape."""
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class EncoderLayer(PreNormLayer):
    """A layer that reads a sequence."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """`x [rows, source, hidden]`, `lengths [rows]` (None: causal) → same shape as `x`."""
        return self.feed(self.attend(x, lengths))


class CausalLayer(PreNormLayer):
    """A layer that writes a sequence, without a source: each position sees itself and those before."""

    def forward(self, x: Tensor) -> Tensor:
        """`x [rows, time, hidden]` → same shape."""
        return self.feed(self.attend(x, None))

    def fill(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`x [rows, time, hidden]` → the same as `forward`, and the caches, `[rows, heads, time, size]` each."""
        attended, keys, values = self.self_attention.fill(self.self_attention_norm(x))
        return self.feed(x + attended), keys, values

    def step(
        self, x: Tensor, position: Tensor, capacity: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One position of every row: `x [rows, 1, hidden]` → its next value, and the caches after it."""
        x, keys, values = self.attend_step(x, position, capacity, keys, values)
        return self.feed(x), keys, values


class PostNormLayer(nn.Module):
    """Self-attention and feed-forward, each added to its input and the sum normalised (Devlin et al. 2019, BERT)."""

    def __init__(
        self, hidden_size: int, num_heads: int, feed_forward_size: int, dropout: float, norm_epsilon: float
    ) -> None:
        super().__init__()
        self.self_attention = SelfAttention(hidden_size, num_heads)
        self.self_attention_norm = nn.LayerNorm(hidden_size, eps=norm_epsilon)
        self.feed_forward = FeedForward(hidden_size, feed_forward_size, 0.0, activation=F.gelu)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=norm_epsilon)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`x [rows, source, hidden]`, `lengths [rows]` → same shape as `x`."""
        x = self.self_attention_norm(x + self.dropout(self.self_attention(x, lengths)))
        normalised: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return normalised


class DecoderLayer(PreNormLayer):
    """A layer that writes a sequence from a source: between its two parts stands attention over the memory."""

    def __init__(self, shape: LayerShape) -> None:
        super().__init__(shape)
        self.cross_attention_norm = nn.LayerNorm(shape.hidden_size)
        self.cross_attention = CrossAttention(shape.hidden_size, shape.num_heads)

    def forward(self, x: Tensor, memory_key: Tensor, memory_value: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`x [rows, target, hidden]` → its next value, and the query side of the attention over the memory."""
        x = self.attend(x, None)
        query = self.cross_attention_norm(x)
        x = x + self.dropout(self.cross_attention(query, memory_key, memory_value, lengths))
        return self.feed(x), query

    def step(
        self,
        x: Tensor,
        position: Tensor,
        capacity: Tensor,
        keys: Tensor,
        values: Tensor,
        memory: StepMemory,
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """One position of every row: `x [rows, 1, hidden]` → its next value; caches and memory after it."""
        x, keys, values = self.attend_step(x, position, capacity, keys, values)
        attended, memory_keys, memory_values = self.cross_attention.step(self.cross_attention_norm(x), memory)
        return self.feed(x + attended), (keys, values, memory_keys, memory_values)
