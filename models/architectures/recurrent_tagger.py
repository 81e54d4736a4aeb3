"""A tag for every word by a recurrent network over words and their characters (many-to-many, in step)."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from models.architecture import Tensors
from models.layers.characters import CharacterFeatures, ConvolutionalCharacters, RecurrentCharacters
from models.layers.dropout import LockedDropout
from models.layers.recurrent import Cell, Recurrent
from models.layers.word_embedding import WordEmbedding
from models.registry import register
from models.tagger import Tagger, TaggerConfig

FEATURES: dict[str, type[CharacterFeatures]] = {
    "convolution": ConvolutionalCharacters,
    "recurrent": RecurrentCharacters,
}


class RecurrentTaggerConfig(TaggerConfig):
    """Sizes of a recurrent tagger; `hidden_size` is that of one direction, `character_size` that of a word's features.

    `dropout` is that of whole features of a sentence, before, between and after the layers; `word_dropout` that of
    whole words.
    """

    cell: Cell = "lstm"
    embedding_size: int = Field(default=100, ge=1)
    hidden_size: int = Field(default=128, ge=1)
    layers: int = Field(default=1, ge=1)
    bidirectional: bool = True
    characters: Literal["none", "convolution", "recurrent"] = "convolution"
    character_embedding_size: int = Field(default=25, ge=1)
    character_size: int = Field(default=50, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    word_dropout: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _characters_are_numbered(self) -> Self:
        if self.characters != "none" and not self.character_vocabulary_size:
            raise ValueError(f"characters {self.characters!r} need a table of them (words: characters: true)")
        if self.characters == "recurrent" and self.character_size % 2:
            raise ValueError("character_size is shared by two directions: it must be even")
        return self


@register("recurrent_tagger", RecurrentTaggerConfig, paper="Huang et al. 2015; Lample et al. 2016; Ma and Hovy 2016")
class RecurrentTagger(Tagger):
    """Huang et al. 2015 (bidirectional LSTM-CRF), with characters as Lample et al. 2016 or Ma and Hovy 2016.

    Dropout keeps one mask for all words of a sentence (Gal and Ghahramani 2016).
    """

    config: RecurrentTaggerConfig

    def __init__(self, config: RecurrentTaggerConfig) -> None:
        super().__init__(config)
        self.embedding = WordEmbedding(config.source_vocabulary_size, config.embedding_size, 0.0, config.word_dropout)
        size = config.embedding_size
        self.characters: CharacterFeatures | None = None
        if config.characters != "none":
            self.characters = FEATURES[config.characters](
                config.character_vocabulary_size, config.character_embedding_size, config.character_size, config.dropout
            )
            size += config.character_size
        self.networks = nn.ModuleList()
        for _ in range(config.layers):
            network = Recurrent(config.cell, size, config.hidden_size, bidirectional=config.bidirectional)
            self.networks.append(network)
            size = network.output_size
        self.dropout = LockedDropout(config.dropout)
        self.output = nn.Linear(size, len(config.tags))

    @property
    def reads_characters(self) -> bool:
        return self.config.characters != "none"

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        lengths = inputs["source_lengths"].clamp_min(1)
        vectors = self.embedding(inputs["source_ids"])
        if self.characters is not None:
            features = self.characters(inputs["character_ids"], inputs["character_counts"])
            vectors = torch.cat([vectors, features], dim=2)
        for network in self.networks:
            vectors = network.outputs(self.dropout(vectors), lengths)
        return {"emissions": self.output(self.dropout(vectors))}
