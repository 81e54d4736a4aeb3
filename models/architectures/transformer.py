"""Encoder-decoder Transformer, pre-norm, with tied embeddings and a key/value cache."""

from __future__ import annotations

import math
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.signature import Attention, GenerateSignature, State
from contract.signature import Tensor as TensorSpec
from models.architecture import Generator, Tensors
from models.layers.dropout import Dropout
from models.layers.exportable import axis_size
from models.layers.transformer import DecoderLayer, EncoderLayer, StepMemory, sinusoids
from models.registry import ArchitectureConfig, register


class TransformerConfig(ArchitectureConfig):
    """Sizes of a Transformer; `max_length` bounds source and target positions."""

    source_vocabulary_size: int = Field(ge=1)
    target_vocabulary_size: int = Field(ge=1)
    hidden_size: int = Field(default=256, ge=2)
    num_heads: int = Field(default=4, ge=1)
    feed_forward_size: int = Field(default=1024, ge=1)
    encoder_layers: int = Field(default=4, ge=1)
    decoder_layers: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    activation_dropout: float = Field(default=0.0, ge=0, lt=1)
    share_embeddings: bool = False
    max_length: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.hidden_size % self.num_heads or self.hidden_size % 2:
            raise ValueError(f"hidden_size {self.hidden_size} must be even and divisible by num_heads {self.num_heads}")
        if self.share_embeddings and self.source_vocabulary_size != self.target_vocabulary_size:
            raise ValueError("share_embeddings needs one vocabulary for both languages (tokenizer: joint: true)")
        return self


@register("transformer", TransformerConfig)
class Transformer(Generator):
    """Vaswani et al. 2017, "Attention Is All You Need", with the norm first (Xiong et al. 2020).

    The target embedding is the output projection too (Press and Wolf 2017), and the source embedding as well when the
    vocabulary is shared. States: a key and a value cache per layer, and the
    memory projected for it, which no step changes; statics: what stands at the memory's last position.
    """

    config: TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.target_embedding = nn.Embedding(config.target_vocabulary_size, size)
        if not config.share_embeddings:
            self.source_embedding = nn.Embedding(config.source_vocabulary_size, size)
        self.register_buffer("positions", sinusoids(config.max_length, size), persistent=False)
        self.dropout = Dropout(config.dropout)
        shape = (size, config.num_heads, config.feed_forward_size, config.dropout, config.activation_dropout)
        self.encoder = nn.ModuleList(EncoderLayer(*shape) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(size)
        self.decoder = nn.ModuleList(DecoderLayer(*shape) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(size)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=size**-0.5)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def signature(self) -> GenerateSignature:
        heads = self.config.num_heads
        size = self.config.hidden_size // heads
        lengths = TensorSpec(name="source_lengths", dtype="int64", axes=("rows",))
        layers = range(self.config.decoder_layers)
        return GenerateSignature(
            inputs=(TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source")), lengths),
            statics=(
                lengths,
                *(
                    TensorSpec(name=f"layer.{i}.last_{kind}", dtype="float32", axes=("rows", 1, heads * size))
                    for i in layers
                    for kind in ("key", "value")
                ),
            ),
            states=tuple(
                state
                for i in layers
                for kind in ("key", "value")
                for state in (
                    State(
                        name=f"layer.{i}.{kind}",
                        dtype="float32",
                        axes=("rows", heads, "target", size),
                        write="at_position",
                    ),
                    State(
                        name=f"layer.{i}.memory_{kind}",
                        dtype="float32",
                        axes=("rows", heads, "source", size),
                        initial=f"layer.{i}.memory_{kind}",
                        write="unchanged",
                    ),
                )
            ),
            attention=Attention(axes=("target", "source")),
            explain="explain",
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        lengths = inputs["source_lengths"]
        rows = torch.arange(lengths.shape[0], device=lengths.device)  # len() would freeze the axis in the export
        encoded = {}
        for i, memory in enumerate(self._project(self._read(inputs))):
            for kind, projected in zip(("key", "value"), memory, strict=True):
                encoded[f"layer.{i}.memory_{kind}"] = projected
                last = projected[rows, :, lengths - 1]
                encoded[f"layer.{i}.last_{kind}"] = last.flatten(1).unsqueeze(1)
        return encoded

    def _read(self, inputs: Tensors) -> Tensor:
        """The memory: what the encoder makes of the source, `[rows, source, hidden]`."""
        source_ids, lengths = inputs["source_ids"], inputs["source_lengths"]
        embedding = self.target_embedding if self.config.share_embeddings else self.source_embedding
        x = self.dropout(self._embed(embedding, source_ids))
        for layer in self.encoder:
            x = layer(x, lengths)
        memory: Tensor = self.encoder_norm(x)
        return memory

    def _project(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of every decoder layer, `[rows, heads, source, hidden / heads]`."""
        return [layer.cross_attention.project(memory) for layer in self.decoder]

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        hidden, _ = self._decode(self._project(self._read(inputs)), inputs["source_lengths"], target_ids)
        return F.linear(self.decoder_norm(hidden), self.target_embedding.weight)

    def explain(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Mean over the heads of the last layer; row t is the attention that predicts token t + 1."""
        memory, lengths = self._project(self._read(inputs)), inputs["source_lengths"]
        _, query = self._decode(memory, lengths, target_ids)
        return self.decoder[-1].cross_attention.weights(query, memory[-1][0], lengths)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        # A time axis of one throughout: the fused operators want it, and adding it once costs less than at each.
        x = self.target_embedding(token_ids.unsqueeze(1)) * math.sqrt(self.config.hidden_size)
        x = x + F.embedding(position.unsqueeze(1), self.get_buffer("positions"))
        here, capacity = position.to(torch.int32), axis_size(states["layer.0.key"], 2)
        last, source = (statics["source_lengths"] - 1).to(torch.int32), axis_size(states["layer.0.memory_key"], 2)
        following: dict[str, Tensor] = {}
        for i, layer in enumerate(self.decoder):
            names = [f"layer.{i}.{name}" for name in ("key", "value", "memory_key", "memory_value")]
            keys, values, memory_keys, memory_values = (states[name] for name in names)
            ends = statics[f"layer.{i}.last_key"], statics[f"layer.{i}.last_value"]
            memory = StepMemory(*ends, memory_keys, memory_values, last, source)
            x, after = layer.step(x, here, capacity, keys, values, memory)
            following |= zip(names, after, strict=True)
        return F.linear(self.decoder_norm(x), self.target_embedding.weight).squeeze(1), following, None

    def _decode(
        self, memory: list[tuple[Tensor, Tensor]], lengths: Tensor, target_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Output of the last layer and what it asked the memory, each `[rows, target, hidden]`."""
        x = query = self.dropout(self._embed(self.target_embedding, target_ids))
        for layer, (keys, values) in zip(self.decoder, memory, strict=True):
            x, query = layer(x, keys, values, lengths)
        return x, query

    def _embed(self, embedding: nn.Module, ids: Tensor) -> Tensor:
        """`ids [rows, time]` → `[rows, time, hidden]`, scaled, with positions added (section 3.4)."""
        scaled: Tensor = embedding(ids) * math.sqrt(self.config.hidden_size)
        return scaled + self.positions[: ids.shape[1]]
