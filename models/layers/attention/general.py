"""General attention (Luong et al. 2015, section 3.1): queryᵀ W memory."""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.attention.score import Score


class GeneralScore(Score):
    """A bilinear form; W memory is projected once."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key_size = query_size
        self.memory = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """`[rows, source, memory]` → `[rows, source, query]`."""
        projected: Tensor = self.memory(memory)
        return projected

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, query]`, `keys [rows, source, query]` → `[rows, target, source]`."""
        return query @ keys.transpose(1, 2)
