"""Additive attention (Bahdanau et al. 2015, appendix A.1.2): vᵀ tanh(W query + U memory)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.attention.score import Score


class AdditiveScore(Score):
    """A small network with one hidden layer over the query and the memory; the memory's half is projected once."""

    def __init__(self, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.key_size = attention_size
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.memory = nn.Linear(memory_size, attention_size)
        self.energy = nn.Linear(attention_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """`[rows, source, memory]` → `[rows, source, attention]`."""
        projected: Tensor = self.memory(memory)
        return projected

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, query]`, `keys [rows, source, attention]` → `[rows, target, source]`."""
        hidden = torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))
        scores: Tensor = self.energy(hidden).squeeze(-1)
        return scores
