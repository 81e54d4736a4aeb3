"""The interface between an architecture and everything else: training, export and verification use nothing but this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from contract.signature import GenerateSignature, PredictSignature, Signature
from models.registry import ArchitectureConfig

Tensors = Mapping[str, Tensor]


class Architecture(nn.Module, ABC):
    """A sequence model that declares its tensors.

    A module keeps no state between two calls: all that a step needs is passed in and returned.
    """

    config: ArchitectureConfig

    @property
    @abstractmethod
    def signature(self) -> Signature:
        """The tensors of the graphs that export traces."""


class Generator(Architecture):
    """An architecture of the generate shape."""

    @property
    @abstractmethod
    def signature(self) -> GenerateSignature: ...

    @abstractmethod
    def forward(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Teacher-forced logits: `target_ids [rows, target]` (starting with BOS) → `[rows, target, vocabulary]`."""

    @abstractmethod
    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        """Statics and initial states by the names the signature declares."""

    @abstractmethod
    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """One decoding step for every row.

        Args:
            token_ids: `[rows]`, the token chosen last (BOS at position 0).
            position: `[rows]`, its position.
            statics: what `encode` produced, and inputs handed on.
            states: by state name, as the signature declares them.

        Returns:
            logits `[rows, vocabulary]`, the next value of every state by state name, and the attention of this step
            `[rows, source]` (None where the architecture has none or explains by a teacher-forced graph).
        """

    def explain(self, inputs: Tensors, target_ids: Tensor) -> Tensor:
        """Teacher-forced attention, `[rows, target, source]`, for architectures that declare an `explain` graph."""
        raise TypeError(f"{type(self).__name__} declares no teacher-forced explain graph")


class Predictor(Architecture):
    """An architecture of the one-shot shape."""

    @property
    @abstractmethod
    def signature(self) -> PredictSignature: ...

    @abstractmethod
    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        """The outputs that the signature declares, by name."""

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        """The attention maps that the signature declares, by name, from the inputs that it says are explained."""
        raise TypeError(f"{type(self).__name__} declares no attention")
