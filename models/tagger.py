"""What taggers share: their tensors, the loss of a sequence of tags, and the scores that decode it on the host."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from contract.signature import PredictSignature
from contract.signature import Tensor as TensorSpec
from contract.tags import TagSet, check_tags
from models.architecture import Predictor, Tensors
from models.layers.exportable import length_mask
from models.layers.linear_chain import LinearChain
from models.registry import ArchitectureConfig

WORD_INPUTS = (
    TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source")),
    TensorSpec(name="source_lengths", dtype="int64", axes=("rows",)),
)
CHARACTER_INPUTS = (
    TensorSpec(name="character_ids", dtype="int64", axes=("rows", "source", "characters")),
    TensorSpec(name="character_counts", dtype="int64", axes=("rows", "source")),
)
TAGS = TensorSpec(name="tags", dtype="int64", axes=("rows", "source"))
"""The labels that a tagger learns from."""


class TaggerConfig(ArchitectureConfig):
    """What every tagger's config holds; the sizes of the vocabularies and the tags come from the data."""

    source_vocabulary_size: int = Field(ge=2)
    character_vocabulary_size: int = Field(default=0, ge=0, description="0 where no characters are read")
    tags: tuple[str, ...] = Field(min_length=3, description="O, and B- and I- of each label")
    crf: bool = True

    @field_validator("tags")
    @classmethod
    def _bio(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        check_tags(tags)
        return tags


class Tagger(Predictor):
    """A model that gives every word a score for every tag.

    With a CRF the scores are those of a linear chain whose transitions are learnt with the network; without one each
    word's tag is learnt alone, and decoding keeps to sequences that BIO allows.
    """

    config: TaggerConfig

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.chain = LinearChain(config.tags) if config.crf else None

    @property
    @abstractmethod
    def reads_characters(self) -> bool:
        """Whether the characters of words are inputs too."""

    @property
    def signature(self) -> PredictSignature:
        emissions = TensorSpec(name="emissions", dtype="float32", axes=("rows", "source", len(self.config.tags)))
        return PredictSignature(
            inputs=(*WORD_INPUTS, *(CHARACTER_INPUTS if self.reads_characters else ())), outputs=(emissions,)
        )

    def loss(self, inputs: Tensors, tags: Tensor) -> Tensor:
        """Mean over words of the negative log-likelihood of `tags [rows, source]`, a scalar."""
        emissions = self(inputs)["emissions"]
        lengths = inputs["source_lengths"]
        if self.chain is not None:
            return self.chain.negative_log_likelihood(emissions, tags, lengths).sum() / lengths.sum()
        real = length_mask(lengths, tags.shape[1])
        return F.cross_entropy(emissions[real].float(), tags[real])

    def tag_set(self) -> TagSet:
        """The tags and the scores of their sequences, as a bundle holds them."""
        return TagSet.of_tags(self.config.tags) if self.chain is None else self.chain.tag_set()
