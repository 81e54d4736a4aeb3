"""The base of classifiers: text or a document in, a score for every label out."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention, PredictSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Predictor, Tensors
from models.registry import ArchitectureConfig

FLAT_INPUTS = (
    TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source")),
    TensorSpec(name="source_lengths", dtype="int64", axes=("rows",)),
)
"""A text as one sequence of tokens."""

DOCUMENT_INPUTS = (
    TensorSpec(name="word_ids", dtype="int64", axes=("rows", "sentences", "words")),
    TensorSpec(name="word_counts", dtype="int64", axes=("rows", "sentences")),
    TensorSpec(name="sentence_counts", dtype="int64", axes=("rows",)),
)
"""A document as sentences of words; a sentence of no words is padding."""


HEAD = "output."
"""How the parameters of a classifier's last layer are called, the one that knows the labels."""


class ClassifierConfig(ArchitectureConfig):
    """What follows from the data, not from the YAML."""

    vocabulary_size: int = Field(ge=2, description="number of token ids; 0 is padding")
    label_count: int = Field(ge=2)


class Classifier(Predictor):
    """Reads a text and scores every label: `scores [rows, labels]`, log-probabilities.

    Attributes:
        config: its sizes.
        inputs: what it reads, `FLAT_INPUTS` or `DOCUMENT_INPUTS`.
        attention: the maps of its `explain` graph; none where it has no attention.
    """

    config: ClassifierConfig
    inputs: ClassVar[tuple[TensorSpec, ...]] = FLAT_INPUTS
    attention: tuple[Attention, ...] = ()

    @property
    def signature(self) -> PredictSignature:
        scores = TensorSpec(name="scores", dtype="float32", axes=("rows", self.config.label_count))
        return PredictSignature(inputs=self.inputs, outputs=(scores,), attention=self.attention)

    @abstractmethod
    def classify(self, inputs: Tensors) -> tuple[Tensor, Tensor | None]:
        """Logits `[rows, labels]`, and what training adds to each row's loss `[rows]` (None: nothing)."""

    def stages(self) -> list[list[nn.Parameter]]:
        """Parameters by their distance from the labels, nearest first: what is far may learn more slowly."""
        return [list(self.parameters())]

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        logits, _ = self.classify(inputs)
        return {"scores": logits.float().log_softmax(dim=-1)}
