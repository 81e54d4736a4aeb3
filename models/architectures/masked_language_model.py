"""BERT as it is pretrained: guessing the tokens that were hidden from it."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from contract.axes import Axis
from contract.signature import PredictSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Predictor, Tensors
from models.architectures.bert import BertSizes
from models.classifier import FLAT_INPUTS
from models.layers.bert import DEVIATION, NORM_EPSILON
from models.registry import register


class MaskedLanguageModelConfig(BertSizes):
    """Sizes of the encoder that is pretrained."""

    vocabulary_size: int = Field(ge=2, description="number of token ids; 0 is padding")


@register("masked_language_model", MaskedLanguageModelConfig, paper="Devlin et al. 2019")
class MaskedLanguageModel(Predictor):
    """Devlin et al. 2019, section 3.1, task 1. A `bert` starts from its encoder.

    `emissions [rows, source, vocabulary]` score every token at every position; the embeddings are the last matrix too
    (Press and Wolf 2017).
    """

    config: MaskedLanguageModelConfig

    def __init__(self, config: MaskedLanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder(config.vocabulary_size)
        self.transform = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=NORM_EPSILON)
        self.bias = nn.Parameter(self.transform.weight.new_zeros(config.vocabulary_size))
        nn.init.normal_(self.transform.weight, std=DEVIATION)
        nn.init.zeros_(self.transform.bias)

    @property
    def signature(self) -> PredictSignature:
        axes: tuple[Axis, ...] = ("rows", "source", self.config.vocabulary_size)
        return PredictSignature(inputs=FLAT_INPUTS, outputs=(TensorSpec(name="emissions", dtype="float32", axes=axes),))

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        hidden = self.encoder(inputs["source_ids"], inputs["source_lengths"])
        return {"emissions": self.guess(hidden).float()}

    def guess(self, hidden: Tensor) -> Tensor:
        """Logits `[…, vocabulary]` of hidden states `[…, hidden]`: in training, those of the hidden tokens alone."""
        transformed = self.norm(F.gelu(self.transform(hidden)))
        return F.linear(transformed, self.encoder.token_embedding.weight, self.bias)
