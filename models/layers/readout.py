"""From what a decoder knows at a position to the scores of every word."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.dropout import Dropout


class Readout(nn.Module):
    """A tanh layer down to the size of an embedding, whose inner products with all embeddings are the logits.

    Output projection and target embedding are one matrix (Press and Wolf 2017); the layer is that of Luong et al. 2015,
    equation 5.
    """

    def __init__(self, input_size: int, embedding_size: int, vocabulary_size: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(input_size, embedding_size)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.dropout = Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """`features […, input]` → `[…, embedding]`."""
        hidden: Tensor = self.dropout(torch.tanh(self.hidden(features)))
        return hidden

    def logits(self, hidden: Tensor, embedding: nn.Embedding) -> Tensor:
        """`hidden […, embedding]` → `[…, vocabulary]`."""
        return F.linear(hidden, embedding.weight, self.bias)
