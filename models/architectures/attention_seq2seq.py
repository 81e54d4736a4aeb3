"""Encoder-decoder of recurrent networks with attention; score, window and input feeding are config values."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from contract.signature import Attention as AttentionSpec
from contract.signature import GenerateSignature, State
from contract.signature import Tensor as TensorSpec
from models.architecture import Tensors
from models.architectures.recurrent_seq2seq import (
    SOURCE_IDS,
    SOURCE_LENGTHS,
    RecurrentEncoderDecoder,
    RecurrentSeq2SeqConfig,
)
from models.layers.attention.attention import Attention, ScoreName, WindowName, build_score, build_window
from models.layers.dropout import Dropout
from models.layers.readout import Readout
from models.layers.recurrent import LayerState, Recurrent, name_states
from models.registry import register


class AttentionSeq2SeqConfig(RecurrentSeq2SeqConfig):
    """A recurrent encoder-decoder and how it attends.

    Attributes:
        attention_size: hidden size of the additive and concat scores.
        max_source_length: longest source that is accepted; the location score has a weight vector for each position.
        window_size: how far a local window reaches on either side of its centre.
        attention_layer: the decoder layer that attends. After *top* only the readout sees the context (Luong et al.
            2015); after *bottom* the upper layers read it too, and remember it (Wu et al. 2016, section 3.3).
        input_feeding: the bottom layer reads the previous position's readout (Luong et al. 2015, section 3.3). Training
            then goes position by position, several times slower.
    """

    score: ScoreName = "additive"
    window: WindowName = "global"
    window_size: int = Field(default=5, ge=1)
    attention_size: int = Field(default=256, ge=1)
    max_source_length: int = Field(default=128, ge=1)
    attention_layer: Literal["bottom", "top"] = "top"
    input_feeding: bool = False

    @property
    def lower_layers(self) -> int:
        """Number of decoder layers up to the one that attends."""
        return self.decoder_layers if self.attention_layer == "top" else 1

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.score in ("dot", "scaled_dot") and self.hidden_size != self.memory_size:
            raise ValueError(
                f"score {self.score!r} needs hidden_size {self.hidden_size} equal to the encoder's output size "
                f"{self.memory_size} (encoder_hidden_size, twice it when bidirectional); or take score 'general'"
            )
        if self.attention_layer == "bottom" and self.decoder_layers < 2:
            raise ValueError("attention_layer 'bottom' feeds the layers above it: set decoder_layers to 2 or more")
        return self


@register("attention_seq2seq", AttentionSeq2SeqConfig, paper="Bahdanau et al. 2015; Luong et al. 2015")
class AttentionSeq2Seq(RecurrentEncoderDecoder):
    """Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine Translation".

    Statics: the encoder's outputs (`memory`), what the score reads of them where that is something else
    (`projected_memory`), the source's lengths. States: those of each decoder layer, and with input feeding the last
    readout (`context`).
    """

    config: AttentionSeq2SeqConfig

    def __init__(self, config: AttentionSeq2SeqConfig) -> None:
        super().__init__(config)
        cell, size, dropout = config.cell, config.hidden_size, config.dropout
        self.memory_dropout = Dropout(dropout)
        score = build_score(config.score, size, config.memory_size, config.attention_size, config.max_source_length)
        self.attention = Attention(score, build_window(config.window, size, config.window_size))
        input_size = config.embedding_size * (2 if config.input_feeding else 1)
        self.decoder = Recurrent(cell, input_size, size, config.lower_layers, dropout=dropout)
        if config.attention_layer == "bottom":
            upper_layers = config.decoder_layers - config.lower_layers
            self.upper_decoder = Recurrent(cell, size + config.memory_size, size, upper_layers, dropout=dropout)
        self.readout = Readout(size + config.memory_size, config.embedding_size, config.target_vocabulary_size, dropout)

    @property
    def signature(self) -> GenerateSignature:
        config = self.config
        statics = [
            SOURCE_LENGTHS,
            TensorSpec(name="memory", dtype="float32", axes=("rows", "source", config.memory_size)),
        ]
        if (key_size := self.attention.score.key_size) is not None:
            statics.append(TensorSpec(name="projected_memory", dtype="float32", axes=("rows", "source", key_size)))
        states = list(self.declared_states())
        if config.input_feeding:
            states.append(State(name="context", dtype="float32", axes=("rows", config.embedding_size)))
        return GenerateSignature(
            inputs=(SOURCE_IDS, SOURCE_LENGTHS),
            statics=tuple(statics),
            states=tuple(states),
            attention=AttentionSpec(axes=("target", "source"), normalised=self.attention.window.normalised),
            explain="explain_step",
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        memory, initial = self._encode(inputs)
        return memory | self.name_initial(initial)

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        memory, initial = self._encode(inputs)
        statics = memory | {"source_lengths": inputs["source_lengths"]}
        read = self._feed if self.config.input_feeding else self._decode
        readout = read(self.target_embedding(target_ids), statics, initial)
        return self.readout.logits(readout, self.target_embedding)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        inputs = self.target_embedding(token_ids)
        if self.config.input_feeding:
            inputs = torch.cat([inputs, states["context"]], dim=-1)
        readout, after, weights = self._advance(inputs, position, statics, self.layer_states(states))
        following = name_states(self.config.cell, after)
        if self.config.input_feeding:
            following["context"] = readout
        return self.readout.logits(readout, self.target_embedding), following, weights

    def _encode(self, inputs: Tensors) -> tuple[dict[str, Tensor], list[LayerState]]:
        """What attention reads, by the names of its statics, and the decoder's initial state."""
        outputs, initial = self.read_source(inputs)
        memory = self.memory_dropout(outputs)
        read = {"memory": memory}
        if self.attention.score.key_size is not None:
            read["projected_memory"] = self.attention.score.keys(memory)
        return read, initial

    def _decode(self, embedded: Tensor, statics: Tensors, initial: list[LayerState]) -> Tensor:
        """All positions at once: `embedded [rows, target, embedding]` → readouts of the same shape."""
        lower = self.config.lower_layers
        hidden = self.decoder.unroll(embedded, initial[:lower])
        position = torch.arange(embedded.shape[1], device=embedded.device).unsqueeze(0)
        context, _ = self._attend(hidden, position, statics)
        features = torch.cat([hidden, context], dim=-1)
        if self.config.attention_layer == "bottom":
            features = torch.cat([self.upper_decoder.unroll(features, initial[lower:]), context], dim=-1)
        readout: Tensor = self.readout(features)
        return readout

    def _feed(self, embedded: Tensor, statics: Tensors, initial: list[LayerState]) -> Tensor:
        """Position by position, each reading the readout of the one before it; shapes as in `_decode`."""
        states = initial
        readout = torch.zeros_like(embedded[:, 0])
        readouts = []
        for index in range(embedded.shape[1]):
            inputs = torch.cat([embedded[:, index], readout], dim=-1)
            position = torch.full_like(statics["source_lengths"], index)
            readout, states, _ = self._advance(inputs, position, statics, states)
            readouts.append(readout)
        return torch.stack(readouts, dim=1)

    def _advance(
        self, inputs: Tensor, position: Tensor, statics: Tensors, states: list[LayerState]
    ) -> tuple[Tensor, list[LayerState], Tensor]:
        """One position: `inputs [rows, input]` → readout `[rows, embedding]`, states, weights `[rows, source]`."""
        lower = self.config.lower_layers
        hidden, after = self.decoder.step(inputs, states[:lower])
        context, weights = (x.squeeze(1) for x in self._attend(hidden.unsqueeze(1), position.unsqueeze(1), statics))
        features = torch.cat([hidden, context], dim=-1)
        if self.config.attention_layer == "bottom":
            hidden, upper = self.upper_decoder.step(features, states[lower:])
            after = after + upper
            features = torch.cat([hidden, context], dim=-1)
        return self.readout(features), after, weights

    def _attend(self, hidden: Tensor, position: Tensor, statics: Tensors) -> tuple[Tensor, Tensor]:
        """`hidden [rows, target, hidden]` → contexts `[rows, target, memory]`, weights `[rows, target, source]`."""
        memory = statics["memory"]
        keys = statics.get("projected_memory", memory)
        context, weights = self.attention(hidden, keys, memory, position, statics["source_lengths"])
        return context, weights
