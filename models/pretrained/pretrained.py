"""What one may start from, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from contract.text import InputCodec
from models.architecture import Architecture


@dataclass(frozen=True)
class Pretrained(ABC):
    """Part of a model, with its parameters learnt.

    Attributes:
        weights: by parameter name.
    """

    weights: dict[str, Tensor]

    @abstractmethod
    def give(self, model: Architecture) -> None:
        """Let a model start from these weights; what else the model has stays as it is.

        Raises:
            ConfigError: the model has no such part, or one of other sizes.
        """


@dataclass(frozen=True)
class PretrainedText(Pretrained):
    """Part of a model that reads texts.

    Attributes:
        codec: the tokens that it reads.
    """

    codec: InputCodec
