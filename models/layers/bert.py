"""The encoder of BERT (Devlin et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.layers.transformer import PostNormLayer

NORM_EPSILON = 1e-12
DEVIATION = 0.02
"""Standard deviation of freshly drawn weights (section A.2 of the reference implementation's defaults)."""


class BertEncoder(nn.Module):
    """Token and learned position embeddings, then post-norm Transformer layers with exact GELU.

    The segment of every token is the first one, whose embedding is part of the position embeddings here: both are
    added to each token, so one table holds their sum.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        hidden_size: int,
        num_heads: int,
        feed_forward_size: int,
        num_layers: int,
        max_length: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.position_embedding = nn.Embedding(max_length, hidden_size)
        self.embedding_norm = nn.LayerNorm(hidden_size, eps=NORM_EPSILON)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            PostNormLayer(hidden_size, num_heads, feed_forward_size, dropout, NORM_EPSILON) for _ in range(num_layers)
        )
        for module in self.modules():
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=DEVIATION)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """`ids [rows, source]`, `lengths [rows]` → hidden states `[rows, source, hidden]`."""
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, lengths)
        return x

    def embed(self, ids: Tensor) -> Tensor:
        """What the first layer reads: `ids [rows, source]` → `[rows, source, hidden]`."""
        positions = self.position_embedding.weight[: ids.shape[1]]
        embedded: Tensor = self.dropout(self.embedding_norm(self.token_embedding(ids) + positions))
        return embedded

    def rollout(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """How much of each token has flowed into each position of the output: `[rows, source, source]`.

        Attention rollout (Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3): the
        product over layers of the attention, averaged over heads, with half of each position kept by the residual
        connection. Rows sum to 1; columns of padding are zero.
        """
        real = length_mask(lengths, ids.shape[1])
        kept = torch.eye(ids.shape[1], device=ids.device) * real[:, None]
        flow, x = kept, self.embed(ids)
        for index, layer in enumerate(self.layers):
            weights = layer.self_attention.weights(x, lengths)
            # What stands at padding has no residual to speak of: it looks at real tokens alone.
            mixed = torch.where(real[:, :, None], (weights + kept) / 2, weights)
            flow = mixed if index == 0 else mixed @ flow
            x = layer(x, lengths)
        return flow
