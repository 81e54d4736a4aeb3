"""The base of captioners: a picture in, a text out."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

from pydantic import Field
from torch import Tensor

from contract.signature import Attention
from contract.signature import Tensor as TensorSpec
from models.architecture import Generator, Tensors
from models.layers.efficientnet import EfficientNet, ImageEncoderConfig
from models.registry import ArchitectureConfig


class ImageGeneratorConfig(ArchitectureConfig):
    """What all captioners have: the encoder of pictures, and the size of the vocabulary, which the data gives."""

    target_vocabulary_size: int = Field(ge=1)
    encoder: ImageEncoderConfig = ImageEncoderConfig()


class Taught(NamedTuple):
    """What teacher forcing gives for each target position.

    Attributes:
        logits: `[rows, target, vocabulary]`.
        weights: `[rows, target, regions]`, attention, summing to 1 over the regions; None without attention.
        choice_log_probs: `[rows, target]`, log-probability of the region that was drawn, 0 where the expectation over
            all regions took its place; None where nothing is drawn.
        entropy: `[rows, target]`, of the distribution that the region was drawn from, in nats; None where nothing is.
    """

    logits: Tensor
    weights: Tensor | None = None
    choice_log_probs: Tensor | None = None
    entropy: Tensor | None = None


class ImageGenerator(Generator):
    """A captioner.

    What reads inputs takes `pixels [images, side, side, 3]` (RGB of 8 bits), or in place of it `features
    [images, regions, channels]` that the encoder made of them before. While teaching, a picture may have several
    captions: `target_ids [images · captions, target]`, those of one picture in neighbouring rows.
    """

    config: ImageGeneratorConfig

    def __init__(self, config: ImageGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = EfficientNet(config.encoder)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions that attention tells apart, numbered row by row."""
        return self.config.encoder.grid

    @property
    def pixels(self) -> TensorSpec:
        """The input, as the signature lists it."""
        side = self.config.encoder.image_size
        return TensorSpec(name="pixels", dtype="uint8", axes=("rows", side, side, 3))

    @property
    def region_attention(self) -> Attention:
        """The attention over regions, as the signature declares it."""
        return Attention(axes=("target", self.config.encoder.regions))

    def features(self, inputs: Tensors) -> Tensor:
        """What the encoder makes of the pictures, `[images, regions, channels]`, or what it made of them before."""
        if "features" in inputs:
            return inputs["features"]
        features: Tensor = self.encoder(inputs["pixels"])
        return features

    @abstractmethod
    def teach(self, inputs: Tensors, target_ids: Tensor) -> Taught:
        """Teacher forcing, with all that a loss may want: `target_ids [rows, target]`, starting with BOS."""

    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        return self.teach(inputs, target_ids).logits
