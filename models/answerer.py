"""The base of models that answer questions about stories: sentences and a question in, a score for every answer out."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field
from torch import Tensor

from contract.signature import Attention, PredictSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Predictor, Tensors
from models.classifier import DOCUMENT_INPUTS
from models.registry import ArchitectureConfig

STORY_INPUTS = (
    *DOCUMENT_INPUTS,
    TensorSpec(name="question_ids", dtype="int64", axes=("rows", "source")),
    TensorSpec(name="question_lengths", dtype="int64", axes=("rows",)),
)
"""A story as sentences of words, the last one last, and a question about it."""

FIRST_ANSWER = 2
"""Word ids begin with padding and the unknown word; the answers follow, in the order of the scores."""


class AnswererConfig(ArchitectureConfig):
    """What follows from the data, not from the YAML."""

    vocabulary_size: int = Field(ge=FIRST_ANSWER + 2, description="number of word ids; the answers come first")
    answer_count: int = Field(ge=2)
    max_sentences: int = Field(ge=1, description="of a story, the last ones")
    max_words: int = Field(ge=1, description="of a sentence or a question")


class Answerer(Predictor):
    """Reads a story and a question and scores every answer: `scores [rows, answers]`, log-probabilities.

    Attributes:
        config: its sizes.
        attention: the map of its `explain` graph; None where it has no attention.
    """

    config: AnswererConfig
    attention: Attention | None = None

    @property
    def signature(self) -> PredictSignature:
        scores = TensorSpec(name="scores", dtype="float32", axes=("rows", self.config.answer_count))
        attention = (self.attention,) if self.attention else ()
        return PredictSignature(inputs=STORY_INPUTS, outputs=(scores,), attention=attention)

    @abstractmethod
    def answer(self, inputs: Tensors, *, linear: bool = False) -> Tensor:
        """Logits `[rows, answers]`. While `linear`, attention is without its softmax, as training may begin."""

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        return {"scores": self.answer(inputs).float().log_softmax(dim=-1)}
