"""Operations that ONNX has and PyTorch has not: eager code for training, one ONNX operator when exporting.

Both branches give the same numbers; the battery compares them on every architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.onnx import is_in_onnx_export, ops

ONNX_OPSET = 24
"""The opset that introduced `TensorScatter` and the `nonpad_kv_seqlen` input of `Attention`."""


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """True at real positions: `lengths [rows]` → `[rows, size]`."""
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`[rows, time, hidden]` → `[rows, heads, time, hidden / heads]`."""
    rows, time, hidden = x.shape
    return x.view(rows, time, heads, hidden // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """`[rows, heads, time, size]` → `[rows, time, heads · size]`."""
    return x.transpose(1, 2).flatten(2)


def axis_size(x: Tensor, axis: int) -> Tensor:
    """Size of an axis as an int32 tensor `[1]`, which fused operators take where PyTorch takes a number."""
    if is_in_onnx_export():
        # Going by a Python number takes six operators to the same end.
        size: Tensor = ops.symbolic(
            "Shape", (x,), {"start": axis, "end": axis + 1}, dtype=torch.int64, shape=(1,), version=ONNX_OPSET
        )
        return size.to(torch.int32)
    return torch.full((1,), x.shape[axis], dtype=torch.int32, device=x.device)


def top_k(scores: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The `k` (a scalar tensor) best of `scores [rows, size]` → values and indices, each `[rows, k]`, best first."""
    if not is_in_onnx_export():
        values, indices = scores.topk(int(k), dim=-1)
        return values, indices
    # `torch.topk` wants a Python integer, which would freeze k at the traced value.
    width: Any = k.item()
    values, indices = ops.symbolic_multi_out(
        "TopK",
        (scores, k.unsqueeze(0)),
        {"axis": -1},
        dtypes=(scores.dtype, torch.int64),
        shapes=((scores.shape[0], width),) * 2,
        version=ONNX_OPSET,
    )
    return values, indices


def cached_attention(
    query_key_value: Tensor, keys: Tensor, values: Tensor, position: Tensor, capacity: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Write one key and value at `position [rows]` of each row's cache, and attend over what is written.

    `query_key_value [rows, 1, 3 · hidden]`, caches `[rows, heads, target, hidden / heads]`, their `capacity` by
    `axis_size` → output `[rows, 1, hidden]` and the written caches.
    """
    if is_in_onnx_export():
        return _fused_attention((query_key_value, None, None), keys, values, position, capacity)
    query, key, value = (split_heads(part, keys.shape[1]) for part in query_key_value.chunk(3, dim=-1))
    here = (torch.arange(len(keys), device=keys.device), slice(None), position)
    keys, values = keys.clone(), values.clone()
    keys[here], values[here] = key.squeeze(2), value.squeeze(2)
    return merge_heads(attention(query, keys, values, position + 1)), keys, values


def memory_attention(
    query: Tensor, last_key: Tensor, last_value: Tensor, keys: Tensor, values: Tensor, last: Tensor, capacity: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attend over the positions 0 … `last [rows]` of a memory that never changes.

    The fused operator insists on writing a key and a value; it is given those that stand at `last` already.

    Args:
        query: `[rows, 1, hidden]`.
        last_key: `[rows, 1, hidden]`, the key at position `last`.
        last_value: `[rows, 1, hidden]`, the value there.
        keys: `[rows, heads, source, hidden / heads]`.
        values: like the keys.
        last: `[rows]`, the last real position of each row.
        capacity: size of the source axis, by `axis_size`.

    Returns:
        `[rows, 1, hidden]`, and the memory as it was.
    """
    if is_in_onnx_export():
        return _fused_attention((query, last_key, last_value), keys, values, last, capacity)
    return merge_heads(attention(split_heads(query, keys.shape[1]), keys, values, last + 1)), keys, values


def _fused_attention(
    query_key_value: tuple[Tensor, Tensor | None, Tensor | None],
    keys: Tensor,
    values: Tensor,
    position: Tensor,
    capacity: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """ONNX Runtime's `GroupQueryAttention`.

    It writes in place when one buffer is bound as input and output, and pays for the keys that are there, not for the
    capacity.
    """
    rows, heads, _, size = keys.shape
    query = query_key_value[0]
    attended, keys, values = ops.symbolic_multi_out(
        "com.microsoft::GroupQueryAttention",
        (*query_key_value, keys, values, position, capacity),
        {"num_heads": heads, "kv_num_heads": heads},
        dtypes=(query.dtype, keys.dtype, values.dtype),
        shapes=((rows, 1, heads * size), keys.shape, values.shape),
        version=1,
    )
    return attended, keys, values


def attention(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """Multi-head scaled dot-product attention over the first `lengths [rows]` keys of each row.

    `query [rows, heads, queries, size]`, `keys` and `values [rows, heads, time, size]` → shape of the query
    (Vaswani et al. 2017, section 3.2).
    """
    if is_in_onnx_export():
        return onnx_attention((query, keys, values, None, None, None, lengths), {"is_causal": 0})
    return eager_attention((query, keys, values), mask=length_mask(lengths, keys.shape[2])[:, None, None])


def self_attention(query_key_value: Tensor, lengths: Tensor | None, heads: int) -> Tensor:
    """Multi-head attention of a sequence over itself: `[rows, time, 3 · hidden]` → `[rows, time, hidden]`.

    Each position sees the first `lengths [rows]` of its row; without lengths, position t sees positions 0 … t.
    """
    query, key, value = query_key_value.chunk(3, dim=-1)
    if is_in_onnx_export():
        # The operator splits the heads itself, for two thirds of what splitting them outside costs.
        inputs = (query, key, value) if lengths is None else (query, key, value, None, None, None, lengths)
        attributes = {"is_causal": int(lengths is None), "q_num_heads": heads, "kv_num_heads": heads}
        return onnx_attention(inputs, attributes)
    mask = None if lengths is None else length_mask(lengths, key.shape[1])[:, None, None]
    parts = split_heads(query, heads), split_heads(key, heads), split_heads(value, heads)
    return merge_heads(eager_attention(parts, mask=mask))


def eager_attention(inputs: tuple[Tensor, Tensor, Tensor], *, mask: Tensor | None) -> Tensor:
    """Attention by PyTorch; without a mask it is causal.

    On a CPU it computes in fp32 even under autocast: the bf16 kernel's backward pass is ten times slower there.
    """
    query, key, value = inputs
    if query.device.type == "cpu":
        query, key, value = query.float(), key.float(), value.float()
    with torch.autocast(query.device.type, enabled=False):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)


def onnx_attention(inputs: tuple[Tensor | None, ...], attributes: Mapping[str, int | float]) -> Tensor:
    """ONNX's own `Attention`, by its inputs and attributes in its order."""
    query = inputs[0]
    assert query is not None
    attended: Tensor = ops.symbolic(
        "Attention",
        inputs,
        dict(attributes),
        dtype=query.dtype,
        shape=query.shape,
        version=ONNX_OPSET,
    )
    return attended
