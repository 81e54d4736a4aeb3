"""Encoder-decoder of recurrent networks in which the encoder's final state is the whole context."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from torch import Tensor

from contract.signature import GenerateSignature, State
from contract.signature import Tensor as TensorSpec
from models.architecture import Generator, Tensors
from models.layers.bridge import Bridge
from models.layers.readout import Readout
from models.layers.recurrent import Cell, Recurrent, layer_states, name_states, state_names
from models.layers.word_embedding import WordEmbedding
from models.registry import ArchitectureConfig, register


class RecurrentSeq2SeqConfig(ArchitectureConfig):
    """Sizes of a recurrent encoder-decoder; `encoder_hidden_size` is that of one direction."""

    source_vocabulary_size: int = Field(ge=1)
    target_vocabulary_size: int = Field(ge=1)
    cell: Cell = "gru"
    embedding_size: int = Field(default=256, ge=1)
    encoder_hidden_size: int = Field(default=256, ge=1)
    hidden_size: int = Field(default=256, ge=1)
    bidirectional: bool = True
    encoder_layers: int = Field(default=1, ge=1)
    decoder_layers: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)
    share_embeddings: bool = False

    @property
    def memory_size(self) -> int:
        """Size of the encoder's output at one position."""
        return self.encoder_hidden_size * (2 if self.bidirectional else 1)

    @model_validator(mode="after")
    def _one_vocabulary(self) -> Self:
        if self.share_embeddings and self.source_vocabulary_size != self.target_vocabulary_size:
            raise ValueError("share_embeddings needs one vocabulary for both languages (tokenizer: joint: true)")
        return self


@register("recurrent_seq2seq", RecurrentSeq2SeqConfig)
class RecurrentSeq2Seq(Generator):
    """Sutskever et al. 2014 (LSTM), Cho et al. 2014 (GRU), without attention.

    The decoder sees its source through its initial state alone. The source embedding, the target embedding and the
    output projection may be one matrix.
    """

    config: RecurrentSeq2SeqConfig

    def __init__(self, config: RecurrentSeq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        dropout = config.dropout
        embedding = (config.embedding_size, dropout, config.word_dropout)
        self.target_embedding = WordEmbedding(config.target_vocabulary_size, *embedding)
        if not config.share_embeddings:
            self.source_embedding = WordEmbedding(config.source_vocabulary_size, *embedding)
        self.encoder = Recurrent(
            config.cell,
            config.embedding_size,
            config.encoder_hidden_size,
            config.encoder_layers,
            bidirectional=config.bidirectional,
            dropout=dropout,
        )
        self.bridge = Bridge(
            config.cell,
            encoder_layers=config.encoder_layers,
            encoder_size=config.memory_size,
            decoder_layers=config.decoder_layers,
            decoder_size=config.hidden_size,
        )
        self.decoder = Recurrent(
            config.cell, config.embedding_size, config.hidden_size, config.decoder_layers, dropout=dropout
        )
        self.readout = Readout(config.hidden_size, config.embedding_size, config.target_vocabulary_size, dropout)

    @property
    def signature(self) -> GenerateSignature:
        return GenerateSignature(
            inputs=(
                TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source")),
                TensorSpec(name="source_lengths", dtype="int64", axes=("rows",)),
            ),
            states=tuple(
                State(name=name, dtype="float32", axes=("rows", self.config.hidden_size), initial=f"initial.{name}")
                for layer in state_names(self.config.cell, self.config.decoder_layers)
                for name in layer
            ),
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        embedding = self.target_embedding if self.config.share_embeddings else self.source_embedding
        _, final = self.encoder(embedding(inputs["source_ids"]), inputs["source_lengths"])
        initial = name_states(self.config.cell, self.bridge(final))
        return {f"initial.{name}": state for name, state in initial.items()}

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        encoded = self.encode(inputs)
        named = {state.name: encoded[f"initial.{state.name}"] for state in self.signature.states}
        initial = layer_states(self.config.cell, self.config.decoder_layers, named)
        hidden = self.decoder.unroll(self.target_embedding(target_ids), initial)
        return self.readout.logits(self.readout(hidden), self.target_embedding)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        before = layer_states(self.config.cell, self.config.decoder_layers, states)
        hidden, after = self.decoder.step(self.target_embedding(token_ids), before)
        logits = self.readout.logits(self.readout(hidden), self.target_embedding)
        return logits, name_states(self.config.cell, after), None
