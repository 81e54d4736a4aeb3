"""Hierarchical attention (Yang et al. 2016): words make up sentences, sentences make up the document."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.classifier import DOCUMENT_INPUTS, Classifier, ClassifierConfig
from models.layers.dropout import Dropout
from models.layers.pooling import AttentionPooling
from models.layers.recurrent import Cell, Recurrent
from models.layers.word_embedding import WordEmbedding
from models.registry import register


class HierarchicalAttentionConfig(ClassifierConfig):
    """Sizes, those of the paper (section 3.3); hidden sizes are those of one direction."""

    cell: Cell = "gru"
    embedding_size: int = Field(default=200, ge=1)
    word_hidden_size: int = Field(default=50, ge=1)
    sentence_hidden_size: int = Field(default=50, ge=1)
    attention_size: int = Field(default=100, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    embedding_dropout: float = Field(default=0.3, ge=0, lt=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)


class Level(nn.Module):
    """A bidirectional encoder and the attention that sums its states up: of words or of sentences."""

    def __init__(self, cell: Cell, input_size: int, hidden_size: int, attention_size: int) -> None:
        super().__init__()
        self.encoder = Recurrent(cell, input_size, hidden_size, bidirectional=True)
        self.pooling = AttentionPooling(self.encoder.output_size, attention_size)

    def forward(self, vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`vectors [rows, time, input]`, `lengths [rows]` → `[rows, 2 · hidden]` and weights `[rows, time]`.

        A row of length 0 gives zeros, both ways.
        """
        at_least_one = lengths.clamp(min=1)
        states, _ = self.encoder(vectors, at_least_one)
        sums, weights = self.pooling(states, at_least_one)
        real = (lengths > 0).unsqueeze(1)
        return sums.squeeze(1) * real, weights.squeeze(1) * real


@register("hierarchical_attention", HierarchicalAttentionConfig, paper="Yang et al. 2016")
class HierarchicalAttention(Classifier):
    """A vector for each sentence from its words, a vector for the document from its sentences."""

    config: HierarchicalAttentionConfig
    inputs = DOCUMENT_INPUTS
    attention = (
        Attention(name="words", axes=("sentences", "words")),
        Attention(name="sentences", axes=("sentences",)),
    )

    def __init__(self, config: HierarchicalAttentionConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = WordEmbedding(
            config.vocabulary_size, config.embedding_size, config.embedding_dropout, config.word_dropout
        )
        self.words = Level(config.cell, config.embedding_size, config.word_hidden_size, config.attention_size)
        self.sentences = Level(
            config.cell, 2 * config.word_hidden_size, config.sentence_hidden_size, config.attention_size
        )
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(2 * config.sentence_hidden_size, config.label_count)

    def classify(self, inputs: Tensors) -> tuple[Tensor, None]:
        document, _, _ = self._read(inputs)
        return self.output(self.dropout(document)), None

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        _, words, sentences = self._read(inputs)
        return {"words": words, "sentences": sentences}

    def _read(self, inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """The document `[rows, size]`, and the weights of words `[rows, sentences, words]` and of sentences."""
        word_ids, word_counts = inputs["word_ids"], inputs["word_counts"]
        sentence_counts = inputs["sentence_counts"].clamp(min=1)
        vectors, words = self.words(self.embedding(word_ids.flatten(0, 1)), word_counts.flatten())
        document, sentences = self.sentences(self.dropout(vectors.view(*word_counts.shape, -1)), sentence_counts)
        return document, words.view(word_ids.shape), sentences
