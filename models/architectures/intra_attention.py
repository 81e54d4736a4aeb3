"""Intra-attention over what was read before: LSTMN (Cheng et al. 2016), averaged for classification (section 5.2)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.classifier import Classifier, ClassifierConfig
from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.layers.intra_attention import IntraAttention
from models.layers.word_embedding import WordEmbedding
from models.registry import register


class IntraAttentionConfig(ClassifierConfig):
    """Sizes; `output_size` is that of the layer below the labels."""

    embedding_size: int = Field(default=128, ge=1)
    hidden_size: int = Field(default=168, ge=1)
    attention_size: int = Field(default=64, ge=1)
    output_size: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    embedding_dropout: float = Field(default=0.3, ge=0, lt=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)


@register("intra_attention", IntraAttentionConfig, paper="Cheng et al. 2016")
class IntraAttentionClassifier(Classifier):
    """Reads left to right, each word attending to the words before it; the mean state decides."""

    config: IntraAttentionConfig
    attention = (Attention(axes=("target", "source")),)

    def __init__(self, config: IntraAttentionConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = WordEmbedding(
            config.vocabulary_size, config.embedding_size, config.embedding_dropout, config.word_dropout
        )
        self.encoder = IntraAttention(config.embedding_size, config.hidden_size, config.attention_size)
        self.hidden = nn.Linear(config.hidden_size, config.output_size)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.output_size, config.label_count)

    def classify(self, inputs: Tensors) -> tuple[Tensor, None]:
        states, _, real = self._read(inputs)
        mean = (states * real.unsqueeze(2)).sum(dim=1) / real.sum(dim=1, keepdim=True)
        return self.output(self.dropout(torch.relu(self.hidden(self.dropout(mean))))), None

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        _, weights, real = self._read(inputs)
        return {"attention": weights * real.unsqueeze(2)}

    def _read(self, inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """States `[rows, source, hidden]`, weights `[rows, target, source]`, and which positions are real."""
        source_ids = inputs["source_ids"]
        states, weights = self.encoder(self.embedding(source_ids))
        return states, weights, length_mask(inputs["source_lengths"].clamp(min=1), source_ids.shape[1])
