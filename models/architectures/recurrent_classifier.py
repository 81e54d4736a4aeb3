"""A recurrent network over a text, pooled into one vector: many-to-one (Elman 1990, Graves and Schmidhuber 2005).

Pooling by attention is that of Yang et al. 2016; maximum over time is that of Collobert et al. 2011.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.classifier import Classifier, ClassifierConfig
from models.layers.dropout import Dropout
from models.layers.pooling import AttentionPooling, PoolingName, pool
from models.layers.recurrent import Cell, Recurrent
from models.layers.word_embedding import WordEmbedding
from models.registry import register


class RecurrentClassifierConfig(ClassifierConfig):
    """Sizes; `hidden_size` is that of one direction."""

    cell: Cell = "lstm"
    bidirectional: bool = True
    layers: int = Field(default=1, ge=1)
    pooling: PoolingName = "max"
    embedding_size: int = Field(default=128, ge=1)
    hidden_size: int = Field(default=128, ge=1)
    attention_size: int = Field(default=64, ge=1, description="where pooling is attention")
    dropout: float = Field(default=0.3, ge=0, lt=1)
    embedding_dropout: float = Field(default=0.3, ge=0, lt=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)


@register("recurrent_classifier", RecurrentClassifierConfig, paper="Hochreiter and Schmidhuber 1997; Cho et al. 2014")
class RecurrentClassifier(Classifier):
    """RNN, LSTM or GRU, read forward or both ways, and a linear layer over what is pooled of its states."""

    config: RecurrentClassifierConfig

    def __init__(self, config: RecurrentClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = WordEmbedding(
            config.vocabulary_size, config.embedding_size, config.embedding_dropout, config.word_dropout
        )
        self.encoder = Recurrent(
            config.cell,
            config.embedding_size,
            config.hidden_size,
            config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )
        size = self.encoder.output_size
        self.pooling = AttentionPooling(size, config.attention_size) if config.pooling == "attention" else None
        self.attention = (Attention(axes=("source",)),) if self.pooling else ()
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(size, config.label_count)

    def classify(self, inputs: Tensors) -> tuple[Tensor, None]:
        return self.output(self.dropout(self._summary(inputs))), None

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        if self.pooling is None:
            return super().explain(inputs)
        vectors, lengths = self._embed(inputs)
        return {"attention": self.pooling(self.encoder.outputs(vectors, lengths), lengths)[1].squeeze(1)}

    def _embed(self, inputs: Tensors) -> tuple[Tensor, Tensor]:
        """Word vectors `[rows, source, embedding]`, and lengths of at least 1."""
        return self.embedding(inputs["source_ids"]), inputs["source_lengths"].clamp(min=1)

    def _summary(self, inputs: Tensors) -> Tensor:
        """One vector for each row, `[rows, size]`."""
        vectors, lengths = self._embed(inputs)
        if self.config.pooling == "last":
            return self.encoder(vectors, lengths)[1][-1][0]
        states = self.encoder.outputs(vectors, lengths)
        if self.config.pooling == "attention":
            assert self.pooling is not None
            return self.pooling(states, lengths)[0].squeeze(1)
        return pool(self.config.pooling, states, lengths)
