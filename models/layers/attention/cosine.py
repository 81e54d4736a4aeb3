"""Content addressing by cosine similarity (Graves et al. 2014, section 3.3.1): β cos(key, memory)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.attention.score import Score

EPSILON = 1e-6
"""Smallest length of a vector; also representable in half precision."""


class CosineScore(Score):
    """The decoder's state emits a key and its strength β > 0, which sharpens the similarities; they lie in [-1, 1]."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key_size = memory_size
        self.key = nn.Linear(query_size, memory_size)
        self.strength = nn.Linear(query_size, 1)

    def keys(self, memory: Tensor) -> Tensor:
        """The memory's vectors brought to length 1: `[rows, source, memory]` → same shape."""
        return F.normalize(memory, dim=-1, eps=EPSILON)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, query]`, `keys [rows, source, memory]` → `[rows, target, source]`."""
        key = F.normalize(self.key(query), dim=-1, eps=EPSILON)
        return F.softplus(self.strength(query)) * (key @ keys.transpose(1, 2))
