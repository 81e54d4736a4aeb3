"""Concat attention (Luong et al. 2015, section 3.1): vᵀ tanh(W [query; memory])."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.attention.score import Score


class ConcatScore(Score):
    """One matrix over query and memory laid side by side, without a bias.

    The product is computed as the sum of its two halves, so that the memory's half is projected once.
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.key_size = attention_size
        self.query_size = query_size
        self.joint = nn.Linear(query_size + memory_size, attention_size, bias=False)
        self.energy = nn.Linear(attention_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """`[rows, source, memory]` → `[rows, source, attention]`."""
        return F.linear(memory, self.joint.weight[:, self.query_size :])

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, query]`, `keys [rows, source, attention]` → `[rows, target, source]`."""
        projected = F.linear(query, self.joint.weight[:, : self.query_size])
        scores: Tensor = self.energy(torch.tanh(projected.unsqueeze(2) + keys.unsqueeze(1))).squeeze(-1)
        return scores
