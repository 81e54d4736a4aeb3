"""Local attention with monotonic alignment (Luong et al. 2015, section 3.2, local-m)."""

from __future__ import annotations

import torch
from torch import Tensor

from models.layers.attention.window import Window, masked_softmax
from models.layers.exportable import length_mask


class MonotonicWindow(Window):
    """The positions at most `size` away from the target's own position.

    A target longer than its source keeps looking at the source's end: the centre is clamped to real positions.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, scores: Tensor, query: Tensor, position: Tensor, lengths: Tensor) -> Tensor:
        """See `Window.forward`."""
        source = scores.shape[-1]
        centre = torch.minimum(position, lengths.unsqueeze(1) - 1).unsqueeze(-1)
        near = (torch.arange(source, device=scores.device) - centre).abs() <= self.size
        return masked_softmax(scores, near & length_mask(lengths, source).unsqueeze(1))
