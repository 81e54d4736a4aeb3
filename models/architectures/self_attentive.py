"""A structured self-attentive sentence embedding (Lin et al. 2017): several weighted sums of one text."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.classifier import Classifier, ClassifierConfig
from models.layers.dropout import Dropout
from models.layers.pooling import AttentionPooling
from models.layers.recurrent import Cell, Recurrent
from models.layers.word_embedding import WordEmbedding
from models.registry import register


class SelfAttentiveConfig(ClassifierConfig):
    """Sizes; `hidden_size` is that of one direction, `output_size` that of the layer below the labels."""

    cell: Cell = "lstm"
    layers: int = Field(default=1, ge=1)
    embedding_size: int = Field(default=128, ge=1)
    hidden_size: int = Field(default=128, ge=1)
    attention_size: int = Field(default=64, ge=1)
    hops: int = Field(default=4, ge=1, description="weighted sums of a text")
    penalty: float = Field(default=0.1, ge=0, description="weight of the hops' likeness in the loss")
    output_size: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    embedding_dropout: float = Field(default=0.3, ge=0, lt=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)


def hop_penalty(weights: Tensor) -> Tensor:
    """How alike the hops of each row are: ‖A Aᵀ - I‖² (equation 8), `[rows, hops, source]` → `[rows]`."""
    products = weights @ weights.transpose(1, 2)
    identity = torch.eye(weights.shape[1], device=weights.device)
    return (products - identity).square().sum(dim=(1, 2))


@register("self_attentive", SelfAttentiveConfig, paper="Lin et al. 2017")
class SelfAttentive(Classifier):
    """A bidirectional network, `hops` attentions over its states, and a hidden layer over what they sum up."""

    config: SelfAttentiveConfig

    def __init__(self, config: SelfAttentiveConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = (Attention(axes=(config.hops, "source")),)
        self.embedding = WordEmbedding(
            config.vocabulary_size, config.embedding_size, config.embedding_dropout, config.word_dropout
        )
        self.encoder = Recurrent(
            config.cell,
            config.embedding_size,
            config.hidden_size,
            config.layers,
            bidirectional=True,
            dropout=config.dropout,
        )
        self.pooling = AttentionPooling(self.encoder.output_size, config.attention_size, config.hops, bias=False)
        self.hidden = nn.Linear(config.hops * self.encoder.output_size, config.output_size)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.output_size, config.label_count)

    def classify(self, inputs: Tensors) -> tuple[Tensor, Tensor | None]:
        sums, weights = self._attend(inputs)
        hidden = torch.relu(self.hidden(self.dropout(sums.flatten(1))))
        return self.output(self.dropout(hidden)), self._penalty(weights)

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        return {"attention": self._attend(inputs)[1]}

    def _attend(self, inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The sums `[rows, hops, size]` and their weights `[rows, hops, source]`."""
        lengths = inputs["source_lengths"].clamp(min=1)
        return self.pooling(self.encoder.outputs(self.embedding(inputs["source_ids"]), lengths), lengths)

    def _penalty(self, weights: Tensor) -> Tensor | None:
        if not self.training or self.config.penalty == 0:
            return None
        return self.config.penalty * hop_penalty(weights)
