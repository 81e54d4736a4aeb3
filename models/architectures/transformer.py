"""Encoder-decoder Transformer, pre-norm, with tied embeddings and a key/value cache."""

from __future__ import annotations

from typing import Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.signature import Attention, GenerateSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Generator, Tensors
from models.layers.dropout import Dropout
from models.layers.transformer import EncoderLayer, sinusoids
from models.layers.transformer_decoder import Memory, TransformerDecoder, embed, embed_step
from models.registry import register
from models.transformer_sizes import TransformerSizes


class TransformerConfig(TransformerSizes):
    """Sizes of a Transformer; `max_length` bounds source and target positions."""

    source_vocabulary_size: int = Field(ge=1)
    target_vocabulary_size: int = Field(ge=1)
    encoder_layers: int = Field(default=4, ge=1)
    decoder_layers: int = Field(default=2, ge=1)
    share_embeddings: bool = False

    @model_validator(mode="after")
    def _one_vocabulary(self) -> Self:
        if self.share_embeddings and self.source_vocabulary_size != self.target_vocabulary_size:
            raise ValueError("share_embeddings needs one vocabulary for both languages (tokenizer: joint: true)")
        return self


@register("transformer", TransformerConfig, paper="Vaswani et al. 2017")
class Transformer(Generator):
    """Vaswani et al. 2017, "Attention Is All You Need", with the norm first (Xiong et al. 2020).

    The target embedding is the output projection too (Press and Wolf 2017), and the source embedding as well when the
    vocabulary is shared. States and statics are those of the decoder.
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
        self.encoder = nn.ModuleList(EncoderLayer(config.layer) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(size)
        self.decoder = TransformerDecoder(config.decoder_layers, config.layer)
        self.decoder_norm = nn.LayerNorm(size)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=size**-0.5)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def signature(self) -> GenerateSignature:
        lengths = TensorSpec(name="source_lengths", dtype="int64", axes=("rows",))
        return GenerateSignature(
            inputs=(TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source")), lengths),
            statics=(lengths, *self.decoder.statics()),
            states=self.decoder.states("source"),
            attention=Attention(axes=("target", "source")),
            explain="explain",
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        return self.decoder.encoded(self._read(inputs), inputs["source_lengths"])

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        hidden, _ = self._decode(self._read(inputs), inputs["source_lengths"], target_ids)
        return self._logits(hidden)

    def explain(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Mean over the heads of the last layer; row t is the attention that predicts token t + 1."""
        memory, lengths = self._read(inputs), inputs["source_lengths"]
        _, query = self._decode(memory, lengths, target_ids)
        return self.decoder.explain(query, memory, lengths)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        x = embed_step(self.target_embedding, token_ids, position, self.get_buffer("positions"))
        hidden, following = self.decoder.step(x, position, statics["source_lengths"] - 1, statics, states)
        return self._logits(hidden).squeeze(1), following, None

    def _read(self, inputs: Tensors) -> Memory:
        """What the decoder reads of the source."""
        source_ids, lengths = inputs["source_ids"], inputs["source_lengths"]
        embedding = self.target_embedding if self.config.share_embeddings else self.source_embedding
        x = self._embed(embedding, source_ids)
        for layer in self.encoder:
            x = layer(x, lengths)
        return self.decoder.project(self.encoder_norm(x))

    def _decode(self, memory: Memory, lengths: Tensor, target_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Output of the last layer and what it asked the memory, each `[rows, target, hidden]`."""
        return self.decoder(self._embed(self.target_embedding, target_ids), memory, lengths)

    def _embed(self, embedding: nn.Module, ids: Tensor) -> Tensor:
        """`ids [rows, time]` → `[rows, time, hidden]`."""
        return self.dropout(embed(embedding, ids, self.get_buffer("positions")[: ids.shape[1]]))

    def _logits(self, hidden: Tensor) -> Tensor:
        """`hidden […, hidden]` → `[…, vocabulary]`."""
        return F.linear(self.decoder_norm(hidden), self.target_embedding.weight)
