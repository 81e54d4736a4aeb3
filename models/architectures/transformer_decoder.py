"""The decoder of a Transformer as a language model."""

from __future__ import annotations

from typing import Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.signature import GenerateSignature
from models.architecture import Tensors
from models.layers.causal_transformer import CausalTransformer
from models.layers.dropout import Dropout
from models.layers.transformer import check_heads, sinusoids
from models.layers.transformer_decoder import embed, embed_step
from models.prompt_generator import PROMPT, PROMPT_IDS, PROMPT_LENGTHS, PromptGenerator, PromptGeneratorConfig
from models.registry import register


class TransformerLanguageModelConfig(PromptGeneratorConfig):
    """Sizes of the decoder; `max_length` bounds positions, those of a prompt among them."""

    hidden_size: int = Field(default=256, ge=2)
    num_heads: int = Field(default=4, ge=1)
    feed_forward_size: int = Field(default=1024, ge=1)
    layers: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    activation_dropout: float = Field(default=0.0, ge=0, lt=1)
    max_length: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        check_heads(self.hidden_size, self.num_heads)
        return self


@register("transformer_decoder", TransformerLanguageModelConfig, paper="Radford et al. 2018")
class TransformerLanguageModel(PromptGenerator):
    """Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", the norm first.

    Layers are those of the translation Transformer without what looks at a source; the embedding is the output
    projection too.
    """

    config: TransformerLanguageModelConfig

    def __init__(self, config: TransformerLanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.embedding = nn.Embedding(config.vocabulary_size, size)
        self.register_buffer("positions", sinusoids(config.max_length, size), persistent=False)
        self.dropout = Dropout(config.dropout)
        self.decoder = CausalTransformer(
            config.layers,
            size,
            config.num_heads,
            config.feed_forward_size,
            config.dropout,
            config.activation_dropout,
        )
        self.decoder_norm = nn.LayerNorm(size)
        nn.init.normal_(self.embedding.weight, std=size**-0.5)
        for module in self.decoder.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def signature(self) -> GenerateSignature:
        return GenerateSignature(inputs=PROMPT, states=self.decoder.states())

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        return self.decoder.fill(self._embed(inputs[PROMPT_IDS.name]), inputs[PROMPT_LENGTHS.name])

    def read(self, token_ids: Tensor) -> Tensor:
        return self._logits(self.decoder(self._embed(token_ids)))

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        x = embed_step(self.embedding, token_ids, position, self.get_buffer("positions"))
        hidden, following = self.decoder.step(x, position, states)
        return self._logits(hidden).squeeze(1), following, None

    def _embed(self, ids: Tensor) -> Tensor:
        """`ids [rows, time]` → `[rows, time, hidden]`."""
        return self.dropout(embed(self.embedding, ids, self.get_buffer("positions")[: ids.shape[1]]))

    def _logits(self, hidden: Tensor) -> Tensor:
        """`hidden […, hidden]` → `[…, vocabulary]`."""
        return F.linear(self.decoder_norm(hidden), self.embedding.weight)
