"""Encoder-decoder of gated convolutions, of which every decoder layer attends; nothing in it is recurrent."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.axes import Axis
from contract.signature import Attention, GenerateSignature, State
from contract.signature import Tensor as TensorSpec
from models.architecture import Generator, Tensors
from models.architectures.recurrent_seq2seq import SOURCE_IDS, SOURCE_LENGTHS
from models.layers.convolution import ROOT_HALF, AttendingConvolution, GatedConvolution, SourceMemory, affine
from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.registry import ArchitectureConfig, register

_EMBEDDING_SPREAD = 0.1


class ConvSeq2SeqConfig(ArchitectureConfig):
    """Sizes of a convolutional encoder-decoder; `max_length` bounds source and target positions.

    A position of the decoder's top layer sees `decoder_layers · (kernel_size - 1)` tokens before it, one of the
    encoder's half as many for each of its layers on either side.
    """

    source_vocabulary_size: int = Field(ge=1)
    target_vocabulary_size: int = Field(ge=1)
    embedding_size: int = Field(default=256, ge=1)
    hidden_size: int = Field(default=256, ge=1)
    kernel_size: int = Field(default=3, ge=3)
    encoder_layers: int = Field(default=4, ge=1)
    decoder_layers: int = Field(default=3, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    max_length: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _odd_kernel(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} must be odd: the encoder reads as far on both sides")
        return self


@register("conv_seq2seq", ConvSeq2SeqConfig, paper="Gehring et al. 2017")
class ConvSeq2Seq(Generator):
    """Gehring et al. 2017, "Convolutional Sequence to Sequence Learning".

    Statics: the encoder's outputs (`keys`), their sum with the embedded source (`values`), the source's lengths.
    States: of each decoder layer the inputs that its next convolution still reads (`window`). The target embedding is
    the output projection too. What the paper does for its optimiser's sake is needless with Adam's, which is blind to
    the length of a gradient: weight normalisation, and the encoder's gradients divided by twice the decoder's layers.
    """

    config: ConvSeq2SeqConfig

    def __init__(self, config: ConvSeq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        size, embedding_size, dropout = config.hidden_size, config.embedding_size, config.dropout
        self.source_embedding = nn.Embedding(config.source_vocabulary_size, embedding_size)
        self.source_positions = nn.Embedding(config.max_length, embedding_size)
        self.target_embedding = nn.Embedding(config.target_vocabulary_size, embedding_size)
        self.target_positions = nn.Embedding(config.max_length, embedding_size)
        self.dropout = Dropout(dropout)
        self.encoder_input = affine(embedding_size, size, gain=1 - dropout)
        self.encoder = nn.ModuleList(
            GatedConvolution(size, config.kernel_size, dropout) for _ in range(config.encoder_layers)
        )
        self.encoder_output = affine(size, embedding_size)
        self.decoder_input = affine(embedding_size, size, gain=1 - dropout)
        self.decoder = nn.ModuleList(
            AttendingConvolution(size, embedding_size, config.kernel_size, dropout)
            for _ in range(config.decoder_layers)
        )
        self.decoder_output = affine(size, embedding_size)
        self.bias = nn.Parameter(torch.zeros(config.target_vocabulary_size))
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=_EMBEDDING_SPREAD)

    @property
    def signature(self) -> GenerateSignature:
        config = self.config
        memory: tuple[Axis, ...] = ("rows", "source", config.embedding_size)
        window: tuple[Axis, ...] = ("rows", 1, (config.kernel_size - 1) * config.hidden_size)
        return GenerateSignature(
            inputs=(SOURCE_IDS, SOURCE_LENGTHS),
            statics=(
                SOURCE_LENGTHS,
                *(TensorSpec(name=name, dtype="float32", axes=memory) for name in ("keys", "values")),
            ),
            states=tuple(
                State(name=f"layer.{i}.window", dtype="float32", axes=window) for i in range(config.decoder_layers)
            ),
            attention=Attention(axes=("target", "source")),
            explain="explain",
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        memory = self._read(inputs)
        return {"keys": memory.keys, "values": memory.values}

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        hidden, _ = self._decode(inputs, target_ids)
        return self._logits(hidden)

    def explain(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Mean over the decoder's layers; row t is the attention that predicts token t + 1.

        Layers look at different parts of the source (the paper's appendix C), so that no single one stands for all.
        """
        _, weights = self._decode(inputs, target_ids)
        return torch.stack(weights).mean(dim=0)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        mask = length_mask(statics["source_lengths"], statics["keys"].shape[1]).unsqueeze(1)
        memory = SourceMemory(statics["keys"], statics["values"], mask)
        embedded = (self.target_embedding(token_ids) + self.target_positions(position)).unsqueeze(1)
        x = self.decoder_input(embedded)
        following = {}
        for i, layer in enumerate(self.decoder):
            name = f"layer.{i}.window"
            x, following[name] = layer.step(x, states[name], embedded, memory)
        return self._logits(x).squeeze(1), following, None

    def _read(self, inputs: Tensors) -> SourceMemory:
        """What the decoder reads of the source; the padding stays zero, as beyond the ends of a row alone."""
        ids, lengths = inputs["source_ids"], inputs["source_lengths"]
        real = length_mask(lengths, ids.shape[1])
        embedded = self._embed(self.source_embedding, self.source_positions, ids)
        x = self.encoder_input(embedded)
        for layer in self.encoder:
            x = x.masked_fill(~real.unsqueeze(-1), 0.0)
            x = (layer(x, before=layer.kernel_size // 2) + x) * ROOT_HALF
        keys = self.encoder_output(x)
        # Averaging m vectors divides their variance by as much: the context is scaled by √m (section 3.5).
        values = (keys + embedded) * ROOT_HALF * lengths.to(embedded.dtype).sqrt()[:, None, None]
        return SourceMemory(keys, values, real.unsqueeze(1))

    def _decode(self, inputs: Tensors, target_ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Output of the last layer `[rows, target, hidden]` and each layer's weights `[rows, target, source]`."""
        memory = self._read(inputs)
        embedded = self._embed(self.target_embedding, self.target_positions, target_ids)
        x, maps = self.decoder_input(embedded), []
        for layer in self.decoder:
            x, weights = layer(x, embedded, memory)
            maps.append(weights)
        return x, maps

    def _embed(self, tokens: nn.Module, positions: nn.Embedding, ids: Tensor) -> Tensor:
        """`ids [rows, time]` → `[rows, time, embedding]`."""
        return self.dropout(tokens(ids) + positions.weight[: ids.shape[1]])

    def _logits(self, hidden: Tensor) -> Tensor:
        """`hidden […, hidden]` → `[…, vocabulary]`."""
        return F.linear(self.dropout(self.decoder_output(hidden)), self.target_embedding.weight, self.bias)
