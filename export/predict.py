"""Export of one-shot models: whatever their task feeds them and reads of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from contract.manifest import Precision
from contract.preprocessing import Preprocessing
from contract.rows import Array, Row
from contract.signature import GraphKind
from contract.tasks import TaskName
from export.calibrate import Ranges, calibrate_pass
from export.cases import Case, predict_cases
from export.errors import ExportError
from export.material import About, Ask, Material, OpenGraphs
from export.optimise import Graphs, smooth
from export.passes.smooth import find_divisors
from export.verify.graphs import Runners, open_graph, verify_numbers
from export.verify.predict import answering, verify_engine, verify_rows
from models.architecture import Predictor
from models.training.run import Run
from models.training.task import OneShotTask

_BESIDE = (9, 1, 4, 12, 2)
"""Sizes of the rows that are compared alone and in company."""
_CALIBRATED, _ENGINE_CHECKED = 256, 64
"""How many validation inputs choose int8's ranges, and how many of the engine's answers PyTorch repeats."""
_JUDGED = 10_000
"""Judged are this many validation examples at most, evenly taken: enough to see half a point."""

RandomRow = Callable[[Mapping[str, int], np.random.Generator], Row]


@dataclass(frozen=True, kw_only=True)
class PredictMaterial(Material):
    """A model that answers in a single pass.

    Attributes:
        task_name: what it is for.
        vocabulary: number of ids that it reads.
        judged: inputs of validation examples.
        score: the answers to `judged` → metrics in points, the first of them the one that counts.
        random_row: inputs of the axis sizes given, with random ids.
        write_preprocessing: writes the files that read requests into a bundle's folder, and says how.
        titles: names of metrics for people.
    """

    model: Predictor
    task_name: TaskName
    vocabulary: int
    judged: Sequence[Row]
    score: Callable[[Sequence[Mapping[str, Array]]], dict[str, float]]
    random_row: RandomRow
    write_preprocessing: Callable[[Path], Preprocessing]
    titles: Mapping[str, str] = field(default_factory=dict)

    answered = "through the one-shot engine"
    units = "examples"

    @property
    def task(self) -> TaskName:
        return self.task_name

    @property
    def vocabulary_size(self) -> int:
        return self.vocabulary

    def preprocessing(self, folder: Path) -> Preprocessing:
        return self.write_preprocessing(folder)

    def cases(self, lengths: Sequence[int], seed: int) -> dict[GraphKind, Case]:
        return predict_cases(self.model, self.random_rows(lengths, seed))

    def calibrate(self, graphs: Graphs) -> tuple[Graphs, Ranges]:
        rows = self.judged[:: max(1, len(self.judged) // _CALIBRATED)]
        seen = calibrate_pass(self.model.signature, graphs["predict"], rows, open_graph)
        divisors = find_divisors(graphs["predict"].graph, seen.peaks())
        if divisors:
            graphs = smooth(graphs, divisors)
            seen = calibrate_pass(self.model.signature, graphs["predict"], rows, open_graph)
        return graphs, {"predict": seen.ranges()}

    def verify_single(self, runners: Runners, tolerance: float) -> None:
        largest = [size for _, size in self.limits if size is not None]
        cases = self.cases([max(largest)], seed=4)
        verify_numbers(self.model.signature, "fp32", list(cases.values()), runners, tolerance)

    def verify_rows(self, precision: Precision, runners: Runners, tolerance: float) -> None:
        verify_rows(self.model.signature, precision, runners, self.random_rows(_BESIDE, seed=5), tolerance)

    @property
    def rows(self) -> Sequence[Row]:
        return self.judged

    def engine(self, folder: Path, precision: Precision) -> AbstractContextManager[Ask]:
        return answering(folder, precision)

    def verify_engine(self, answers: Sequence[Any], tolerance: float) -> None:
        verify_engine(self.model, self.judged[:_ENGINE_CHECKED], answers[:_ENGINE_CHECKED], tolerance)

    def metric_title(self, metric: str) -> str:
        return self.titles.get(metric, super().metric_title(metric))

    def metrics(self, answers: Sequence[Any], open_graphs: OpenGraphs) -> Mapping[str, float]:
        return self.score(answers)

    def random_rows(self, lengths: Sequence[int], seed: int) -> list[Row]:
        """Random rows, each of another size along each axis: the lengths in turn, none beyond the limits."""
        draw = np.random.default_rng(seed)
        tensors = self.model.signature.inputs
        axes = list(dict.fromkeys(str(axis) for t in tensors for axis in t.dynamic_axes.values() if axis != "rows"))
        axes += [tensor.name for tensor in tensors if not tensor.axes]
        return [
            self.random_row(
                {
                    axis: min(lengths[(row + place) % len(lengths)], self.limits.of(axis))
                    for place, axis in enumerate(axes)
                },
                draw,
            )
            for row in range(len(lengths))
        ]


def predict_material(run: Run[Any, Any], task: OneShotTask[Any, Any]) -> PredictMaterial:
    """Material of a finished one-shot run; its validation split must be readable.

    Raises:
        ExportError: the architecture does not answer in a single pass.
    """
    if not isinstance(run.model, Predictor):
        raise ExportError(f"{run.path}: architecture {run.config.architecture_name!r} does not answer in a single pass")
    found = task.examples(run, "validation")
    examples = found[:: -(-len(found) // _JUDGED)]
    return PredictMaterial(
        model=run.model,
        limits=task.limits(run),
        about=About.of(run.config),
        task_name=run.config.task,
        vocabulary=task.vocabulary_size(run),
        judged=[task.inputs(run, example) for example in examples],
        score=lambda answers: task.metrics(run, answers, examples),
        random_row=lambda sizes, draw: task.random_inputs(run, sizes, draw),
        write_preprocessing=lambda folder: task.preprocessing(run, folder),
        titles=task.titles,
    )
