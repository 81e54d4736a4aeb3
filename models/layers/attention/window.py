"""Which source positions a decoder state may look at."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from models.layers.exportable import length_mask


def masked_softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the allowed positions of `scores [rows, target, source]`; every other weight is exactly 0.

    `allowed` broadcasts to the scores, with at least one allowed position in each row.
    """
    return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(dim=-1)


class Window(nn.Module, ABC):
    """Turns scores into weights.

    Attributes:
        normalised: whether the weights over a row's real positions sum to 1.
    """

    normalised = True

    @abstractmethod
    def forward(self, scores: Tensor, query: Tensor, position: Tensor, lengths: Tensor) -> Tensor:
        """Weights `[rows, target, source]`, exactly 0 past each row's length.

        Args:
            scores: `[rows, target, source]`.
            query: `[rows, target, query]`, the decoder's states.
            position: `[rows or 1, target]`, their positions in the target.
            lengths: `[rows]`, real source positions, each at least 1.
        """


class GlobalWindow(Window):
    """All real source positions (Luong et al. 2015, section 3.1)."""

    def forward(self, scores: Tensor, query: Tensor, position: Tensor, lengths: Tensor) -> Tensor:
        """See `Window.forward`."""
        return masked_softmax(scores, length_mask(lengths, scores.shape[-1]).unsqueeze(1))
