"""BERT as a classifier."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from contract.signature import Attention
from models.architecture import Tensors
from models.classifier import Classifier, ClassifierConfig
from models.layers.bert import DEVIATION, BertEncoder
from models.layers.dropout import Dropout
from models.layers.exportable import length_mask
from models.registry import ArchitectureConfig, register


class BertSizes(ArchitectureConfig):
    """Sizes of a BERT encoder; `max_length` bounds the positions."""

    hidden_size: int = Field(default=384, ge=2)
    num_heads: int = Field(default=12, ge=1)
    feed_forward_size: int = Field(default=1536, ge=1)
    num_layers: int = Field(default=6, ge=1)
    max_length: int = Field(default=512, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} must be divisible by num_heads {self.num_heads}")
        return self

    def encoder(self, vocabulary_size: int) -> BertEncoder:
        """A freshly initialised encoder of these sizes."""
        return BertEncoder(
            vocabulary_size,
            hidden_size=self.hidden_size,
            num_heads=self.num_heads,
            feed_forward_size=self.feed_forward_size,
            num_layers=self.num_layers,
            max_length=self.max_length,
            dropout=self.dropout,
        )


class BertConfig(BertSizes, ClassifierConfig):
    """A BERT that classifies; `pooling` is what of its hidden states the labels are scored by."""

    pooling: Literal["first", "mean"] = "mean"


@register("bert", BertConfig, paper="Devlin et al. 2019")
class Bert(Classifier):
    """Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".

    The labels are scored by one affine map of the first hidden state ([CLS]) or of the mean over all, as sentence
    encoders have it (Reimers and Gurevych 2019). The map that explains it is the attention rollout: row t says how much
    of each token is in the hidden state at t.
    """

    config: BertConfig
    attention = (Attention(axes=("target", "source")),)

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder(config.vocabulary_size)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_size, config.label_count)
        nn.init.normal_(self.output.weight, std=DEVIATION)
        nn.init.zeros_(self.output.bias)

    def classify(self, inputs: Tensors) -> tuple[Tensor, Tensor | None]:
        ids, lengths = inputs["source_ids"], inputs["source_lengths"]
        hidden = self.encoder(ids, lengths)
        if self.config.pooling == "first":
            pooled = hidden[:, 0]
        else:
            real = length_mask(lengths, ids.shape[1])[:, :, None]
            pooled = (hidden * real).sum(dim=1) / lengths[:, None]
        return self.output(self.dropout(pooled)), None

    def stages(self) -> list[list[nn.Parameter]]:
        encoder = self.encoder
        embeddings = [encoder.token_embedding, encoder.position_embedding, encoder.embedding_norm]
        stages: list[list[nn.Module]] = [[self.output], *([layer] for layer in reversed(encoder.layers)), embeddings]
        return [[parameter for module in stage for parameter in module.parameters()] for stage in stages]

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        return {"attention": self.encoder.rollout(inputs["source_ids"], inputs["source_lengths"])}
