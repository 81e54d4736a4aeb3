"""What every scoring function has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Score(nn.Module, ABC):
    """How well a decoder state fits each source position.

    Attributes:
        key_size: size of a key where the score reads something else than the memory itself, else None.
    """

    key_size: int | None = None

    def keys(self, memory: Tensor) -> Tensor:
        """What the score reads of the source, once: `memory [rows, source, memory]` → `[rows, source, key]`."""
        return memory

    @abstractmethod
    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, query]`, `keys [rows, source, key]` → scores `[rows, target, source]`."""
