"""Dot-product attention (Luong et al. 2015, section 3.1): queryᵀ memory."""

from __future__ import annotations

from torch import Tensor

from models.layers.attention.score import Score


class DotScore(Score):
    """The inner product; query and memory are of one size."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, size]`, `keys [rows, source, size]` → `[rows, target, source]`."""
        return query @ keys.transpose(1, 2)
