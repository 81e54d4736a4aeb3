"""Self-attention over a window of positions: Parmar et al. 2018, "Image Transformer", section 3.2, in one dimension.

How far back a position lies counts by itself, with a weight that each head learns: a bias `[heads, window]` on the
logits (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.1), of which the first column is
that of the position itself. The paper leaves it to the embeddings of positions to tell a neighbour from others, which
takes far longer to learn.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.onnx import is_in_onnx_export

from models.layers.circular import write_circular
from models.layers.exportable import eager_attention, merge_heads, onnx_attention, split_heads

_LARGEST_BLOCK = 32
"""Positions that share what they look at: fewer see less that is masked, more take fewer and larger products."""


def local_attention(query_key_value: Tensor, bias: Tensor) -> Tensor:
    """Each position sees a window, itself the last in it: `[rows, time, 3 · hidden]` → `[rows, time, hidden]`.

    For training it is computed block by block (the paper's query blocks), so that it costs time · window.
    """
    heads, window = bias.shape
    query, key, value = query_key_value.chunk(3, dim=-1)
    time = query.shape[1]
    if is_in_onnx_export():
        here = torch.arange(time, device=query.device)
        attributes = {"is_causal": 0, "q_num_heads": heads, "kv_num_heads": heads}
        return onnx_attention((query, key, value, _weigh(here[:, None] - here, bias)), attributes)
    block = max(size for size in range(1, _LARGEST_BLOCK + 1) if window % size == 0)
    blocks = -(-time // block)
    padded = F.pad(query_key_value, (0, 0, 0, blocks * block - time))
    query, key, value = padded.chunk(3, dim=-1)
    parts = (query.unflatten(1, (blocks, block)), _windows(key, window, block), _windows(value, window, block))
    queries, keys, values = (split_heads(part.flatten(0, 1), heads) for part in parts)
    # How far back a key lies from a query is the same in every block, but the first have nothing before them.
    place = torch.arange(window + block, device=query.device)
    weights = _weigh(place[window:, None] - place, bias)
    before = (torch.arange(blocks, device=query.device)[:, None] * block + place < window)[:, None, None]
    mask = weights.masked_fill(before, float("-inf")).repeat(query.shape[0], 1, 1, 1)
    attended = merge_heads(eager_attention((queries, keys, values), mask=mask))
    return attended.unflatten(0, (-1, blocks)).flatten(1, 2)[:, :time]


def windowed_step(
    query_key_value: Tensor, keys: Tensor, values: Tensor, position: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Write one key and value at `position [rows]` of each row's window, and attend over what is in it.

    `query_key_value [rows, 1, 3 · hidden]`, caches `[rows, heads, window, hidden / heads]` → output `[rows, 1, hidden]`
    and the caches after it.
    """
    heads, window = bias.shape
    query, key, value = (split_heads(part, heads) for part in query_key_value.chunk(3, dim=-1))
    position = position.long()  # the other kind of cache has it shorter
    keys, values = write_circular(keys, key, position), write_circular(values, value, position)
    age = (position[:, None] - torch.arange(window, device=position.device)) % window
    mask = _weigh(torch.where(age > position[:, None], window, age).unsqueeze(1), bias)  # nothing is there yet: too old
    if is_in_onnx_export():
        attended = onnx_attention((query, keys, values, mask), {"is_causal": 0})
    else:
        attended = eager_attention((query, keys, values), mask=mask)
    return merge_heads(attended), keys, values


def _weigh(age: Tensor, bias: Tensor) -> Tensor:
    """The bias of keys that lie so far back: `age [..., queries, keys]` → `[..., heads, queries, keys]`.

    It is -∞ for those that lie before the window, or ahead.
    """
    window = bias.shape[1]
    weights = F.embedding(age.clamp(0, window - 1), bias.T).movedim(-1, -3)
    return weights.masked_fill(((age < 0) | (age >= window)).unsqueeze(-3), float("-inf"))


def _windows(x: Tensor, window: int, block: int) -> Tensor:
    """What each block may look at: `[rows, blocks · block, size]` → `[rows, blocks, window + block, size]`."""
    parts = F.pad(x, (0, 0, window, 0)).unflatten(1, (-1, block))
    before = window // block
    blocks = parts.shape[1] - before
    return torch.cat([parts[:, i : i + blocks] for i in range(before + 1)], dim=2)
