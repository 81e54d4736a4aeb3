"""What an export draws on: a trained model, and all that its shape and its task decide about an export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple

from contract.manifest import DecodingDefaults, Licence, Limits, Precision, Score, SpecialIds
from contract.preprocessing import Preprocessing
from contract.rows import Row
from contract.signature import GraphKind
from contract.tasks import TaskName
from export.calibrate import Ranges
from export.cases import Case
from export.optimise import Graphs
from export.verify.graphs import Runners
from models.architecture import Architecture
from models.training.config import TrainConfig

Ask = Callable[[Sequence[Row]], list[Any]]
"""Puts rows to a bundle's engine, all waiting at once → its answers, in the order of the rows."""

OpenGraphs = Callable[[], Runners]
"""Opens the graphs of the precision that is judged."""


class Timing(NamedTuple):
    """How many examples are timed alone, and how many times 32 of them together."""

    alone: int = 32
    repeats: int = 5


@dataclass(frozen=True, kw_only=True)
class About:
    """What is said about a model, whatever its shape.

    Attributes:
        architecture: its registered name.
        description: one line for the model card.
        licence: of the training data.
        training: the resolved training config.
        scores: known already, from training.
    """

    architecture: str
    description: str
    licence: Licence
    training: dict[str, Any] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()

    @classmethod
    def of(cls, config: TrainConfig) -> About:
        """What a run's config says; the data sets go by their folders' names, or by a file's where it has none."""
        files = config.data.training_files
        folders = dict.fromkeys(PurePosixPath(file).parent.name for file in files)
        data = ", ".join(filter(None, folders)) or files[0]
        origin = config.data.origin or ", ".join(files)
        return cls(
            architecture=config.architecture_name,
            description=(config.description or config.name).rstrip("."),
            licence=Licence(data=data, source=origin, terms=config.data.licence),
            training=config.model_dump(mode="json"),
        )


@dataclass(frozen=True, kw_only=True)
class Material(ABC):
    """One trained model, and how a model of its shape is tried and judged.

    Attributes:
        model: in evaluation mode, on the CPU.
        limits: the largest inputs that it takes.
        about: what is said about it.
    """

    model: Architecture
    limits: Limits
    about: About

    answered: ClassVar[str]
    """How the answers that are judged come about, for the notes of scores."""
    units: ClassVar[str]
    """What one row is, in the plural."""
    timing: ClassVar[Timing] = Timing()
    """How its speed is measured."""

    @property
    @abstractmethod
    def task(self) -> TaskName:
        """The task that the bundle is for."""

    @property
    @abstractmethod
    def vocabulary_size(self) -> int:
        """Number of ids that it chooses from, or that it reads if it answers in a single pass."""

    @property
    def special(self) -> SpecialIds | None:
        """Ids that steer decoding; None where nothing is decoded."""
        return None

    @property
    def decoding(self) -> DecodingDefaults | None:
        """Defaults of decoding; None where nothing is decoded."""
        return None

    @abstractmethod
    def preprocessing(self, folder: Path) -> Preprocessing:
        """Write what reads requests and writes replies into a bundle's folder, and say how."""

    @abstractmethod
    def cases(self, lengths: Sequence[int], seed: int) -> dict[GraphKind, Case]:
        """A case of every graph, on as many random rows as there are lengths, none beyond the limits."""

    @abstractmethod
    def calibrate(self, graphs: Graphs) -> tuple[Graphs, Ranges]:
        """The graphs to round, prepared for it, and the ranges of what is rounded, on validation examples."""

    @abstractmethod
    def verify_single(self, runners: Runners, tolerance: float) -> None:
        """Hold fp32 graphs against PyTorch where cases do not reach, up to the limits.

        Raises:
            VerificationError: naming what differs.
        """

    @abstractmethod
    def verify_rows(self, precision: Precision, runners: Runners, tolerance: float) -> None:
        """A row alone gives the numbers that it gives in a padded batch.

        Raises:
            RowDependenceError: naming the row that differs most.
        """

    @property
    @abstractmethod
    def rows(self) -> Sequence[Row]:
        """The validation examples that are judged, as inputs."""

    @abstractmethod
    def engine(self, folder: Path, precision: Precision) -> AbstractContextManager[Ask]:
        """The engine that serves such bundles, on a bundle."""

    @abstractmethod
    def verify_engine(self, answers: Sequence[Any], tolerance: float) -> None:
        """The engine's fp32 answers to `rows` are PyTorch's.

        Raises:
            RuntimeMismatchError: naming the row.
        """

    @abstractmethod
    def metrics(self, answers: Sequence[Any], open_graphs: OpenGraphs) -> Mapping[str, float]:
        """Quality of the answers to `rows`, or of what the graphs find likely, in points; the first one counts."""

    def metric_title(self, metric: str) -> str:
        """A metric's name for people."""
        return metric.replace("_", " ")
