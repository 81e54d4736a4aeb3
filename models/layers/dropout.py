"""Dropout with cheap masks (Srivastava et al. 2014)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 256


class Dropout(nn.Module):
    """Drops each element with a probability of `round(256 · rate) / 256`; an identity outside training.

    Drawing one random number per element is a fifth of a small model's training step on a CPU. Here one 64-bit draw
    serves eight elements, one byte each, which is why the rate has a resolution of 1/256.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.threshold = round(rate * LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        """`x` of any shape → the same shape, scaled so that its expectation is unchanged."""
        if not self.training or self.threshold == 0:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None)
        draws = words.view(torch.uint8)[: x.numel()].view(x.shape)
        mask = draws.ge(self.threshold).to(x.dtype)
        return x * mask.mul_(LEVELS / (LEVELS - self.threshold))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class LockedDropout(nn.Module):
    """Drops the same features at all positions of a row (Gal and Ghahramani 2016); an identity outside training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """`x [rows, time, features]` → the same shape, scaled so that its expectation is unchanged."""
        if not self.training or self.rate == 0:
            return x
        return x * F.dropout(torch.ones_like(x[:, :1]), self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
