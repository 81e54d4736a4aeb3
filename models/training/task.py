"""What a task adds to a training run, and how a run's YAML finds its task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import yaml
from pydantic import ValidationError

from contract.manifest import Limits
from contract.preprocessing import Preprocessing
from contract.rows import Array, Row
from models.architecture import Architecture
from models.registry import ConfigError
from models.training.config import Split, TrainConfig

if TYPE_CHECKING:
    from models.training.data import TrainingData
    from models.training.module import TrainingModule
    from models.training.run import Run


class Vocabulary(Protocol):
    """What is learnt from the training data before any weight is: tokenizers, labels, a catalogue of items."""

    def save(self, folder: Path) -> None:
        """Write it into a run folder."""


C = TypeVar("C", bound=TrainConfig)
V = TypeVar("V", bound=Vocabulary)


class TrainingTask(ABC, Generic[C, V]):
    """What a task adds to a run. The module `models.tasks.<name>` holds one as `TASK`.

    `scores` are the validation metrics that the task's module logs, as `validation_<score>`; by the first of them a
    run is judged, the higher the better. `files` are what the vocabulary writes into a run folder.
    """

    config: ClassVar[type[TrainConfig]]
    scores: ClassVar[tuple[str, ...]]
    files: ClassVar[tuple[str, ...]]

    @abstractmethod
    def learn(self, config: C, root: Path) -> V:
        """The vocabulary of the training split; `root` is the data folder."""

    @abstractmethod
    def load(self, folder: Path) -> V:
        """The vocabulary that a run folder or a bundle holds."""

    @abstractmethod
    def sizes(self, config: C, vocabulary: V) -> dict[str, Any]:
        """Fields of the architecture's config that follow from the vocabulary, and are not in the YAML."""

    @abstractmethod
    def data(self, config: C, vocabulary: V, root: Path) -> TrainingData:
        """The batches of a run."""

    @abstractmethod
    def module(self, model: Architecture, config: C, vocabulary: V, total_steps: int) -> TrainingModule:
        """What trains the model.

        Raises:
            ConfigError: the architecture is not one for this task.
        """

    def initialise(self, model: Architecture, config: C, root: Path) -> None:
        """Give a new model the weights it starts from, where those are not random."""

    @abstractmethod
    def evaluate(self, run: Run[C, V], split: Split) -> dict[str, str | int | float]:
        """Quality of a finished run on one split, by the names of its metrics."""


class OneShotTask(TrainingTask[C, V]):
    """A task whose model answers in a single pass: what export and evaluation need of it.

    `titles` are the names of metrics for people, where they are not those of the metrics.
    """

    titles: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def examples(self, run: Run[C, V], split: Split) -> Sequence[Any]:
        """The examples of a split: each holds what goes in and what should come out."""

    @abstractmethod
    def inputs(self, run: Run[C, V], example: Any) -> Row:
        """The model's inputs of one example, cut to the run's limits, without the rows axis."""

    @abstractmethod
    def random_inputs(self, run: Run[C, V], sizes: Mapping[str, int], generator: np.random.Generator) -> Row:
        """Inputs that exercise the model, one row of these axis sizes (those of `limits`, or smaller)."""

    @abstractmethod
    def metrics(
        self, run: Run[C, V], outputs: Sequence[Mapping[str, Array]], examples: Sequence[Any]
    ) -> dict[str, float]:
        """Scores of the outputs, one for each example, in points (0 to 100); the first is the one that counts."""

    def details(
        self, run: Run[C, V], outputs: Sequence[Mapping[str, Array]], examples: Sequence[Any]
    ) -> dict[str, float]:
        """What evaluation shows beside the metrics; nothing, unless the task has more to say."""
        return {}

    @abstractmethod
    def preprocessing(self, run: Run[C, V], folder: Path) -> Preprocessing:
        """Write what a bundle needs to read requests and write replies into its folder, and say how."""

    @abstractmethod
    def limits(self, run: Run[C, V]) -> Limits:
        """The largest inputs that the model takes."""

    @abstractmethod
    def vocabulary_size(self, run: Run[C, V]) -> int:
        """Number of ids that the model reads."""

    def evaluate(self, run: Run[C, V], split: Split) -> dict[str, str | int | float]:
        from models.training.predict import predict_rows

        examples = self.examples(run, split)
        outputs = predict_rows(run.model, [self.inputs(run, example) for example in examples])
        found = {**self.metrics(run, outputs, examples), **self.details(run, outputs, examples)}
        scores = {name: round(value, 2) for name, value in found.items()}
        return {"run": run.config.name, "split": split, "examples": len(examples), **scores}


def check_positions(model: Architecture, longest: int, what: str = "data.max_length") -> None:
    """Whether a model reads or writes so many tokens; architectures that keep a table of positions say how many.

    `what` it is that is so long stands in the error.

    Raises:
        ConfigError: it has fewer positions.
    """
    if (positions := getattr(model.config, "max_length", longest)) < longest:
        raise ConfigError(f"architecture.max_length {positions} is below {what} {longest}")


def task_names() -> list[str]:
    """The tasks that can be trained."""
    package = import_module("models.tasks")
    return sorted(module.name.replace("_", "-") for module in iter_modules(package.__path__))


def find_task(name: str) -> TrainingTask[Any, Any]:
    """The task of a name.

    Raises:
        ConfigError: there is none.
    """
    known = task_names()
    if name not in known:
        raise ConfigError(f"unknown task {name!r}; known: {', '.join(known)}")
    task = import_module(f"models.tasks.{name.replace('-', '_')}").TASK
    assert isinstance(task, TrainingTask)
    return task


def parse_config(fields: Any, place: str) -> TrainConfig:
    """A validated config.

    Raises:
        ConfigError: every fault in one message that begins with `place`.
    """
    if not isinstance(fields, dict):
        raise ConfigError(f"{place}: config: Input should be sections and their values, not {type(fields).__name__}")
    if fields.get("task") not in task_names():
        raise ConfigError(f"{place}: task: {fields.get('task')!r} is not one of {', '.join(task_names())}")
    try:
        return find_task(fields["task"]).config.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{place}: {faults}") from error


def load_config(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """The config of a YAML file, with `section.key=value` overrides (values are YAML)."""
    try:
        fields = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({error})") from error
    for override in overrides or []:
        _override(fields, override)
    return parse_config(fields, str(path))


def _override(fields: Any, override: str) -> None:
    path, separator, value = override.partition("=")
    *sections, key = path.split(".")
    for section in sections:
        fields = fields.setdefault(section, {}) if isinstance(fields, dict) else None
    if not separator or not isinstance(fields, dict):
        raise ConfigError(f"override {override!r} must read section.key=value")
    fields[key] = yaml.safe_load(value)
