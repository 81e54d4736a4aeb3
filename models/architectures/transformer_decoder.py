"""The decoder of a Transformer as a language model."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from contract.signature import GenerateSignature
from models.architecture import Tensors
from models.layers.causal_transformer import CausalTransformer
from models.layers.dropout import Dropout
from models.layers.transformer import sinusoids
from models.layers.transformer_decoder import embed, embed_step
from models.prompt_generator import PROMPT, PROMPT_IDS, PROMPT_LENGTHS, PromptGenerator, PromptGeneratorConfig
from models.registry import register
from models.transformer_sizes import TransformerSizes


class TransformerLanguageModelConfig(PromptGeneratorConfig, TransformerSizes):
    """Sizes of the decoder; `max_length` bounds positions, those of a prompt among them."""

    layers: int = Field(default=4, ge=1)


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
        self.decoder = CausalTransformer(config.layers, config.layer)
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
