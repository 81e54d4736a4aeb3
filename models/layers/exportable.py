"""Operations that ONNX has and PyTorch has not: eager code for training, one ONNX operator when exporting.

Both branches give the same numbers; the battery compares them on every architecture.
"""

from __future__ import annotations

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


def cached_attention(
    query_key_value: Tensor, keys: Tensor, values: Tensor, position: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Write one key and value at `position [rows]` of each row's cache, and attend over what is written.

    `query_key_value [rows, 3 · hidden]`, caches `[rows, heads, target, hidden / heads]` → output `[rows, hidden]` and
    the written caches. Exports as ONNX Runtime's `GroupQueryAttention`: it writes in place when one buffer is bound as
    input and output, and pays for the keys that are there, not for the capacity.
    """
    rows, heads, capacity, size = keys.shape
    if is_in_onnx_export():
        shape = (rows, 1, heads * size)
        attended, keys, values = ops.symbolic_multi_out(
            "com.microsoft::GroupQueryAttention",
            (
                query_key_value.unsqueeze(1),
                None,
                None,
                keys,
                values,
                position.to(torch.int32),
                torch.full((1,), capacity, dtype=torch.int32),
            ),
            {"num_heads": heads, "kv_num_heads": heads},
            dtypes=(query_key_value.dtype, keys.dtype, values.dtype),
            shapes=(shape, keys.shape, values.shape),
            version=1,
        )
        return attended.squeeze(1), keys, values
    query, key, value = query_key_value.view(rows, 3, heads, 1, size).unbind(1)
    here = (torch.arange(rows, device=keys.device), slice(None), position)
    keys, values = keys.clone(), values.clone()
    keys[here], values[here] = key.squeeze(2), value.squeeze(2)
    return attention(query, keys, values, position + 1).flatten(1), keys, values


def attention(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """Multi-head scaled dot-product attention over the first `lengths [rows]` keys of each row.

    `query [rows, heads, queries, size]`, `keys` and `values [rows, heads, time, size]` → shape of the query
    (Vaswani et al. 2017, section 3.2).
    """
    if is_in_onnx_export():
        return _onnx_attention((query, keys, values, None, None, None, lengths), causal=False)
    return _eager_attention((query, keys, values), mask=length_mask(lengths, keys.shape[2])[:, None, None])


def causal_attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Multi-head attention in which position t sees positions 0 … t; all tensors `[rows, heads, time, size]`."""
    if is_in_onnx_export():
        return _onnx_attention((query, keys, values), causal=True)
    return _eager_attention((query, keys, values), mask=None)


def _eager_attention(inputs: tuple[Tensor, Tensor, Tensor], *, mask: Tensor | None) -> Tensor:
    """Attention by PyTorch; without a mask it is causal.

    On a CPU it computes in fp32 even under autocast: the bf16 kernel's backward pass is ten times slower there.
    """
    query, key, value = inputs
    if query.device.type == "cpu":
        query, key, value = query.float(), key.float(), value.float()
    with torch.autocast(query.device.type, enabled=False):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)


def _onnx_attention(inputs: tuple[Tensor | None, ...], *, causal: bool) -> Tensor:
    query = inputs[0]
    assert query is not None
    attended: Tensor = ops.symbolic(
        "Attention",
        inputs,
        {"is_causal": int(causal)},
        dtype=query.dtype,
        shape=query.shape,
        version=ONNX_OPSET,
    )
    return attended
