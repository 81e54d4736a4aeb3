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
from models.layers.recurrent import Cell, LayerState, Recurrent, layer_states, name_states, state_names
from models.layers.word_embedding import WordEmbedding
from models.registry import ArchitectureConfig, register

SOURCE_IDS = TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source"))
SOURCE_LENGTHS = TensorSpec(name="source_lengths", dtype="int64", axes=("rows",))


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


class RecurrentEncoderDecoder(Generator):
    """The part before the first target word: embeddings, a recurrent encoder and the decoder's initial state.

    The source embedding and the target embedding, which is the output projection too, may be one matrix.
    """

    config: RecurrentSeq2SeqConfig

    def __init__(self, config: RecurrentSeq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        embedding = (config.embedding_size, config.dropout, config.word_dropout)
        self.target_embedding = WordEmbedding(config.target_vocabulary_size, *embedding)
        if not config.share_embeddings:
            self.source_embedding = WordEmbedding(config.source_vocabulary_size, *embedding)
        self.encoder = Recurrent(
            config.cell,
            config.embedding_size,
            config.encoder_hidden_size,
            config.encoder_layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )
        self.bridge = Bridge(
            config.cell,
            encoder_layers=config.encoder_layers,
            encoder_size=config.memory_size,
            decoder_layers=config.decoder_layers,
            decoder_size=config.hidden_size,
        )

    def read_source(self, inputs: Tensors) -> tuple[Tensor, list[LayerState]]:
        """The encoder's outputs `[rows, source, memory]` and the initial state of every decoder layer."""
        embedding = self.target_embedding if self.config.share_embeddings else self.source_embedding
        outputs, final = self.encoder(embedding(inputs["source_ids"]), inputs["source_lengths"])
        return outputs, self.bridge(final)

    def name_initial(self, states: list[LayerState]) -> dict[str, Tensor]:
        """Initial states by the names under which `encode` returns them."""
        return {f"initial.{name}": state for name, state in name_states(self.config.cell, states).items()}

    def layer_states(self, states: Tensors) -> list[LayerState]:
        """The states of the decoder layers, from all states by name."""
        return layer_states(self.config.cell, self.config.decoder_layers, states)

    def declared_states(self) -> tuple[State, ...]:
        """The states of the decoder layers, as the signature lists them."""
        return tuple(
            State(name=name, dtype="float32", axes=("rows", self.config.hidden_size), initial=f"initial.{name}")
            for layer in state_names(self.config.cell, self.config.decoder_layers)
            for name in layer
        )


@register("recurrent_seq2seq", RecurrentSeq2SeqConfig, paper="Sutskever et al. 2014; Cho et al. 2014")
class RecurrentSeq2Seq(RecurrentEncoderDecoder):
    """Sutskever et al. 2014 (LSTM), Cho et al. 2014 (GRU), without attention.

    The decoder sees its source through its initial state alone.
    """

    def __init__(self, config: RecurrentSeq2SeqConfig) -> None:
        super().__init__(config)
        self.decoder = Recurrent(
            config.cell, config.embedding_size, config.hidden_size, config.decoder_layers, dropout=config.dropout
        )
        self.readout = Readout(config.hidden_size, config.embedding_size, config.target_vocabulary_size, config.dropout)

    @property
    def signature(self) -> GenerateSignature:
        return GenerateSignature(inputs=(SOURCE_IDS, SOURCE_LENGTHS), states=self.declared_states())

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        _, initial = self.read_source(inputs)
        return self.name_initial(initial)

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        _, initial = self.read_source(inputs)
        hidden = self.decoder.unroll(self.target_embedding(target_ids), initial)
        return self.readout.logits(self.readout(hidden), self.target_embedding)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        hidden, following = self.decoder.step(self.target_embedding(token_ids), self.layer_states(states))
        logits = self.readout.logits(self.readout(hidden), self.target_embedding)
        return logits, name_states(self.config.cell, following), None
