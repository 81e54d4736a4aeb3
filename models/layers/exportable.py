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


def write_at(cache: Tensor, update: Tensor, position: Tensor) -> Tensor:
    """`cache [rows, target, hidden]` with `update [rows, hidden]` written at `position [rows]` of each row.

    Exports as `TensorScatter`, which a runtime that binds one buffer as input and output performs in place.
    """
    if is_in_onnx_export():
        scattered: Tensor = ops.symbolic(
            "TensorScatter",
            (cache, update.unsqueeze(1), position),
            {"axis": 1, "mode": "linear"},
            dtype=cache.dtype,
            shape=cache.shape,
            version=ONNX_OPSET,
        )
        return scattered
    written = cache.clone()
    written[torch.arange(cache.shape[0], device=cache.device), position] = update
    return written


def attention(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int) -> Tensor:
    """Multi-head scaled dot-product attention over the first `lengths [rows]` keys of each row.

    `query [rows, queries, hidden]`, `keys` and `values [rows, time, hidden]` → `[rows, queries, hidden]`
    (Vaswani et al. 2017, section 3.2).
    """
    if is_in_onnx_export():
        return _onnx_attention((query, keys, values, None, None, None, lengths), heads, causal=False)
    return _eager_attention((query, keys, values), heads, mask=length_mask(lengths, keys.shape[1])[:, None, None])


def causal_attention(query: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Multi-head attention in which position t sees positions 0 … t; all tensors `[rows, time, hidden]`."""
    if is_in_onnx_export():
        return _onnx_attention((query, keys, values), heads, causal=True)
    return _eager_attention((query, keys, values), heads, mask=None)


def _eager_attention(inputs: tuple[Tensor, Tensor, Tensor], heads: int, *, mask: Tensor | None) -> Tensor:
    """Attention by PyTorch; without a mask it is causal.

    On a CPU it computes in fp32 even under autocast: the bf16 kernel's backward pass is ten times slower there.
    """
    query, key, value = (split_heads(x, heads) for x in inputs)
    if query.device.type == "cpu":
        query, key, value = query.float(), key.float(), value.float()
    with torch.autocast(query.device.type, enabled=False):
        return merge_heads(F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None))


def _onnx_attention(inputs: tuple[Tensor | None, ...], heads: int, *, causal: bool) -> Tensor:
    query = inputs[0]
    assert query is not None
    attended: Tensor = ops.symbolic(
        "Attention",
        inputs,
        {"q_num_heads": heads, "kv_num_heads": heads, "is_causal": int(causal)},
        dtype=query.dtype,
        shape=query.shape,
        version=ONNX_OPSET,
    )
    return attended
