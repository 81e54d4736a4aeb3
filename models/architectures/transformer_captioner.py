"""The decoder of a Transformer that describes a picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from contract.signature import GenerateSignature
from models.architecture import Tensors
from models.image_generator import ImageGenerator, ImageGeneratorConfig, Taught
from models.layers.dropout import Dropout
from models.layers.transformer import sinusoids
from models.layers.transformer_decoder import Memory, TransformerDecoder, embed, embed_step
from models.registry import register
from models.transformer_sizes import TransformerSizes


class TransformerCaptionerConfig(ImageGeneratorConfig, TransformerSizes):
    """Sizes of the decoder; `max_length` bounds target positions."""

    decoder_layers: int = Field(default=3, ge=1)
    max_length: int = Field(default=64, ge=1)


@register("transformer_captioner", TransformerCaptionerConfig, paper="Vaswani et al. 2017")
class TransformerCaptioner(ImageGenerator):
    """Vaswani et al. 2017 over the regions of a picture, as Sharma et al. 2018, "Conceptual Captions", decode them.

    The regions' features are mapped to the decoder's size and normalised; where a region lies is learnt. The target
    embedding is the output projection too. States and statics are those of the decoder.
    """

    config: TransformerCaptionerConfig

    def __init__(self, config: TransformerCaptionerConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.target_embedding = nn.Embedding(config.target_vocabulary_size, size)
        self.register_buffer("positions", sinusoids(config.max_length, size), persistent=False)
        self.dropout = Dropout(config.dropout)
        self.memory = nn.Linear(config.encoder.head_size, size)
        self.region_positions = nn.Parameter(torch.zeros(config.encoder.regions, size))
        self.memory_norm = nn.LayerNorm(size)
        self.decoder = TransformerDecoder(config.decoder_layers, config.layer)
        self.decoder_norm = nn.LayerNorm(size)
        nn.init.normal_(self.target_embedding.weight, std=size**-0.5)
        for module in self.decoder.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def signature(self) -> GenerateSignature:
        return GenerateSignature(
            inputs=(self.pixels,),
            statics=self.decoder.statics(),
            states=self.decoder.states(self.config.encoder.regions),
            attention=self.region_attention,
            explain="explain",
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        features = self.features(inputs)
        return self.decoder.encoded(self._read(features), self._lengths(features))

    def teach(self, inputs: Tensors, target_ids: Tensor) -> Taught:
        hidden, _, _ = self._decode(inputs, target_ids)
        return Taught(self._logits(hidden))

    def explain(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Mean over the heads of the last layer; row t is the attention that predicts token t + 1."""
        _, query, memory = self._decode(inputs, target_ids)
        return self.decoder.explain(query, memory, self._lengths(target_ids))

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        x = embed_step(self.target_embedding, token_ids, position, self.get_buffer("positions"))
        hidden, following = self.decoder.step(x, position, self._lengths(token_ids) - 1, statics, states)
        return self._logits(hidden).squeeze(1), following, None

    def _read(self, features: Tensor) -> Memory:
        """What the decoder reads of the pictures."""
        memory = self.memory_norm(self.memory(features) + self.region_positions)
        return self.decoder.project(self.dropout(memory))

    def _decode(self, inputs: Tensors, target_ids: Tensor) -> tuple[Tensor, Tensor, Memory]:
        """Output of the last layer, what it asked the memory, and the memory, a row for each caption."""
        features = self.features(inputs)
        captions = target_ids.shape[0] // features.shape[0]
        memory = [
            (keys.repeat_interleave(captions, dim=0), values.repeat_interleave(captions, dim=0))
            for keys, values in self._read(features)
        ]
        positions = self.get_buffer("positions")[: target_ids.shape[1]]
        x = self.dropout(embed(self.target_embedding, target_ids, positions))
        return *self.decoder(x, memory, self._lengths(target_ids)), memory

    def _lengths(self, like: Tensor) -> Tensor:
        """The same for every row of `like [rows, …]`: all regions are real."""
        return torch.full(like.shape[:1], self.config.encoder.regions, dtype=torch.int64, device=like.device)

    def _logits(self, hidden: Tensor) -> Tensor:
        """`hidden […, hidden]` → `[…, vocabulary]`."""
        return F.linear(self.decoder_norm(hidden), self.target_embedding.weight)
