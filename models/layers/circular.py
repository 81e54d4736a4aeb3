"""Buffers that keep the last positions of a sequence: position p stands at p modulo their size, the window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.onnx import is_in_onnx_export, ops

from models.layers.exportable import ONNX_OPSET


def write_circular(buffer: Tensor, update: Tensor, position: Tensor) -> Tensor:
    """Write one vector of each row at its `position [rows]` modulo the window: the oldest there gives way.

    `buffer [rows, …, window, size]`, `update [rows, …, 1, size]` → the buffer after it, in place where one buffer is
    bound as input and output.
    """
    if is_in_onnx_export():
        written: Tensor = ops.symbolic(
            "TensorScatter",
            (buffer, update, position),
            {"axis": -2, "mode": "circular"},
            dtype=buffer.dtype,
            shape=buffer.shape,
            version=ONNX_OPSET,
        )
        return written
    here = torch.arange(buffer.shape[-2], device=buffer.device) == (position % buffer.shape[-2])[:, None]
    chosen = here.view(len(here), *(1,) * (buffer.dim() - 3), -1, 1)
    return torch.where(chosen, update, buffer)


def last_positions(x: Tensor, counts: Tensor, window: int) -> Tensor:
    """What a window holds once the first `counts [rows]` positions are written one after another.

    `x [rows, heads, time, size]` → `[rows, heads, window, size]`; what is not written yet holds anything.
    """
    last = (counts - 1)[:, None]
    slots = torch.arange(window, device=x.device)
    newest = (last - (last - slots) % window).clamp(min=0)  # [rows, window]
    return x.gather(2, newest[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
