"""Self-attention over a window of positions: Parmar et al. 2018, "Image Transformer", section 3.2, in one dimension."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.onnx import is_in_onnx_export

from models.layers.circular import filled, write_circular
from models.layers.exportable import attention, eager_attention, merge_heads, onnx_attention, split_heads

_LARGEST_BLOCK = 32
"""Positions that share what they look at: fewer see less that is masked, more take fewer and larger products."""


def local_attention(query_key_value: Tensor, window: int, heads: int) -> Tensor:
    """Each position sees itself and the `window` - 1 before it: `[rows, time, 3 · hidden]` → `[rows, time, hidden]`.

    For training it is computed block by block (the paper's query blocks), so that it costs time · window.
    """
    query, key, value = query_key_value.chunk(3, dim=-1)
    time = query.shape[1]
    if is_in_onnx_export():
        here = torch.arange(time, device=query.device)
        age = here[:, None] - here
        band = (age >= 0) & (age < window)
        attributes = {"is_causal": 0, "q_num_heads": heads, "kv_num_heads": heads}
        return onnx_attention((query, key, value, band), attributes)
    block = max(size for size in range(1, _LARGEST_BLOCK + 1) if window % size == 0)
    blocks = -(-time // block)
    padded = F.pad(query_key_value, (0, 0, 0, blocks * block - time))
    query, key, value = padded.chunk(3, dim=-1)
    parts = (query.unflatten(1, (blocks, block)), _windows(key, window, block), _windows(value, window, block))
    inputs = tuple(split_heads(part.flatten(0, 1), heads) for part in parts)
    mask = _block_mask(blocks, block, window).to(query.device).repeat(query.shape[0], 1, 1)
    attended = merge_heads(eager_attention((inputs[0], inputs[1], inputs[2]), mask=mask[:, None]))
    return attended.unflatten(0, (-1, blocks)).flatten(1, 2)[:, :time]


def _windows(x: Tensor, window: int, block: int) -> Tensor:
    """What each block may look at: `[rows, blocks · block, size]` → `[rows, blocks, window + block, size]`."""
    parts = F.pad(x, (0, 0, window, 0)).unflatten(1, (-1, block))
    before = window // block
    blocks = parts.shape[1] - before
    return torch.cat([parts[:, i : i + blocks] for i in range(before + 1)], dim=2)


def _block_mask(blocks: int, block: int, window: int) -> Tensor:
    """Which of `_windows` each position of a block sees: `[blocks, block, window + block]`."""
    position = torch.arange(blocks * block).view(blocks, block, 1)
    seen = torch.arange(blocks)[:, None, None] * block - window + torch.arange(window + block)
    return (seen >= 0) & (seen <= position) & (seen > position - window)


def windowed_step(
    query_key_value: Tensor, keys: Tensor, values: Tensor, position: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Write one key and value at `position [rows]` of each row's window, and attend over what is in it.

    `query_key_value [rows, 1, 3 · hidden]`, caches `[rows, heads, window, hidden / heads]` → output `[rows, 1, hidden]`
    and the caches after it. In which order a window stands does not matter: attention sums over it.
    """
    query, key, value = (split_heads(part, keys.shape[1]) for part in query_key_value.chunk(3, dim=-1))
    position = position.long()  # the other kind of cache has it shorter
    keys, values = write_circular(keys, key, position), write_circular(values, value, position)
    return merge_heads(attention(query, keys, values, filled(position, keys.shape[2]))), keys, values
