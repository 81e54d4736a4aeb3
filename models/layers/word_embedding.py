"""Word embeddings with the dropout that small data needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.dropout import Dropout

INITIAL_SCALE = 0.1


class WordEmbedding(nn.Embedding):
    """Ids → vectors.

    Args:
        vocabulary_size: number of ids.
        size: size of a vector.
        dropout: probability that an element is dropped, while training.
        word_dropout: probability that a whole vector is dropped, while training (Iyyer et al. 2015, section 3.2).
    """

    def __init__(self, vocabulary_size: int, size: int, dropout: float, word_dropout: float) -> None:
        super().__init__(vocabulary_size, size)
        self.word_dropout = word_dropout
        self.dropout = Dropout(dropout)
        # Small, because the target embedding is the output projection too.
        nn.init.normal_(self.weight, std=INITIAL_SCALE)

    def forward(self, ids: Tensor) -> Tensor:
        """`ids […]` → `[…, size]`."""
        vectors: Tensor = self.dropout(super().forward(ids))
        if self.training and self.word_dropout:
            kept = torch.rand(ids.shape, device=ids.device) >= self.word_dropout
            vectors = vectors * kept.unsqueeze(-1)
        return vectors
