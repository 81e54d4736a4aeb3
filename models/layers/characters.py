"""A vector for each word from its characters: a convolution or a recurrent network over each word alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.layers.recurrent import Recurrent

KERNEL = 3


class CharacterFeatures(nn.Module, ABC):
    """Character ids → one vector a word; words without characters (padding) get zeros.

    Args:
        vocabulary_size: number of character ids.
        embedding_size: size of a character's vector.
        output_size: size of a word's vector.
        dropout: of the characters' vectors, while training.
    """

    def __init__(self, vocabulary_size: int, embedding_size: int, output_size: int, dropout: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.dropout = Dropout(dropout)

    def forward(self, ids: Tensor, counts: Tensor) -> Tensor:
        """`ids [rows, source, characters]`, `counts [rows, source]` → `[rows, source, output_size]`."""
        rows, source, characters = ids.shape
        flat = counts.flatten()
        vectors = self.dropout(self.embedding(ids.view(rows * source, characters)))
        words = self.read(vectors, flat.clamp_min(1))
        return (words * flat.gt(0).unsqueeze(1)).view(rows, source, self.output_size)

    @abstractmethod
    def read(self, vectors: Tensor, counts: Tensor) -> Tensor:
        """`vectors [words, characters, embedding]`, `counts [words]` of at least 1 → `[words, output_size]`."""


class ConvolutionalCharacters(CharacterFeatures):
    """The strongest response of each filter to the word's trigrams (dos Santos and Zadrozny 2014; Ma and Hovy 2016)."""

    def __init__(self, vocabulary_size: int, embedding_size: int, output_size: int, dropout: float) -> None:
        super().__init__(vocabulary_size, embedding_size, output_size, dropout)
        self.convolution = nn.Conv1d(embedding_size, output_size, KERNEL, padding=KERNEL // 2)

    def read(self, vectors: Tensor, counts: Tensor) -> Tensor:
        real = length_mask(counts, vectors.shape[1]).unsqueeze(2)
        # Beyond its last character a word must look as it does alone, where the convolution pads with zeros.
        responses = self.convolution((vectors * real).transpose(1, 2)).transpose(1, 2)
        return responses.masked_fill(~real, float("-inf")).amax(dim=1)


class RecurrentCharacters(CharacterFeatures):
    """The last states of an LSTM that reads the word forward and of one that reads it backward (Lample et al. 2016)."""

    def __init__(self, vocabulary_size: int, embedding_size: int, output_size: int, dropout: float) -> None:
        super().__init__(vocabulary_size, embedding_size, output_size, dropout)
        if output_size % 2:
            raise ValueError(f"character_size {output_size} is shared by two directions: it must be even")
        self.network = Recurrent("lstm", embedding_size, output_size // 2, bidirectional=True)

    def read(self, vectors: Tensor, counts: Tensor) -> Tensor:
        _, final = self.network(vectors, counts)
        return final[-1][0]
