"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1): queryᵀ memory / √size."""

from __future__ import annotations

import math

from torch import Tensor

from models.layers.attention.score import Score


class ScaledDotScore(Score):
    """The inner product, scaled so that its variance does not grow with the size; query and memory are of one size."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, size]`, `keys [rows, source, size]` → `[rows, target, source]`."""
        return query @ keys.transpose(1, 2) / math.sqrt(query.shape[-1])
