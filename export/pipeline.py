"""The order of an export: trace, optimise, verify, package. Nothing is put in place unless all of it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from contract.manifest import Manifest, Precision, Score, Variant, load_manifest
from contract.signature import GraphKind
from contract.versions import install
from export.drive import Runner
from export.errors import ExportError
from export.golden import save_golden
from export.material import Material
from export.optimise import Graphs, simplify, to_half, to_integer
from export.package import describe_variant, golden_name, staging, write_manifest
from export.precisions import PLANS
from export.speed import measure_speed
from export.store import save_graphs
from export.trace import trace
from export.verify.graphs import (
    Runners,
    has_cuda,
    measure,
    open_graph,
    verify_metric,
    verify_numbers,
    verify_structure,
)

Report = Callable[[str], None]

_TRACED, _GOLDEN = (4, 7, 2), (6, 1, 4)
"""Sizes of the rows that graphs are traced with, and of the golden inputs."""
_COMPARED = ((1,), (5, 2), (3, 11, 1, 8, 6))
"""Sizes of the rows of the batches on which graphs are compared with PyTorch; none has the traced shape."""


@dataclass(frozen=True)
class Options:
    """What to export and how strict to be.

    Attributes:
        precisions: which are made and verified; fp32 always is, and first.
        ship: which of them the bundle holds.
        tolerance: of fp32 graphs, absolute, in log-probability or an output's own unit.
        metric_drop: how many points of the task's metric a reduced precision may cost.
    """

    precisions: tuple[Precision, ...] = ("fp32", "int8", "fp16")
    ship: tuple[Precision, ...] = ("int8", "fp16")
    tolerance: float = PLANS["fp32"].tolerance
    metric_drop: float = 0.5

    def __post_init__(self) -> None:
        if missing := [name for name in self.ship if name not in (*self.precisions, "fp32")]:
            raise ExportError(f"{', '.join(missing)} cannot ship without being made: add it to --precisions")
        if not self.ship:
            raise ExportError("a bundle holds at least one precision: name it with --ship")


def export_bundle(material: Material, target: Path, options: Options, report: Report) -> Manifest:
    """Make, verify and install the bundle `target` (`NAME/VERSION`); `report` is told what is being done.

    Raises:
        ExportError: tracing, optimising or verifying failed; nothing was written.
        BundleError: the version exists already; nothing was written.
    """
    if target.exists():
        raise ExportError(f"{target} exists already and versions are never overwritten: choose another --version")
    with staging(target) as folder:
        job = _Job(material, target, options, folder, report)
        graphs = job.trace()
        job.make_single(graphs)
        if "int8" in options.precisions:
            job.make_integer(graphs)
        if "fp16" in options.precisions:
            job.make_half(graphs)
        variants, scores = job.judge()
        report("packaging")
        write_manifest(folder, material, target, variants, scores)
        manifest = load_manifest(folder)
        install(folder, target)
    return manifest


@dataclass
class _Job:
    """One export in its staged folder; `made` holds what was measured of each precision so far."""

    material: Material
    target: Path
    options: Options
    folder: Path
    report: Report
    made: dict[Precision, Variant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._signature = self.material.model.signature
        self._golden = self.material.cases(_GOLDEN, seed=1)

    def trace(self) -> Graphs:
        """The simplified fp32 graphs."""
        traced: Graphs = {}
        for kind, case in self.material.cases(_TRACED, seed=2).items():
            self.report(f"tracing {kind}")
            example = {name: torch.from_numpy(np.asarray(array)) for name, array in case.inputs.items()}
            traced[kind] = trace(self.material.model, kind, example)
        self.report("simplifying")
        return simplify(traced)

    def make_single(self, graphs: Graphs) -> None:
        """fp32: held against PyTorch at several shapes, row by row and up to the limits."""
        self._save("fp32", graphs)
        self.report("verifying fp32 against PyTorch")
        runners, tolerance = self._open("fp32"), self.options.tolerance
        cases = [case for sizes in _COMPARED for case in self.material.cases(sizes, seed=3).values()]
        error = verify_numbers(self._signature, "fp32", [*cases, *self._golden.values()], runners, tolerance)
        self.material.verify_single(runners, tolerance)
        self.material.verify_rows("fp32", runners, tolerance)
        self._note("fp32", verified=True, max_error=error)

    def make_integer(self, graphs: Graphs) -> None:
        """int8: its ranges chosen on validation examples."""
        self.report("calibrating int8")
        self._save("int8", to_integer(*self.material.calibrate(graphs)))
        self.report("verifying int8")
        runners = self._open("int8")
        self.material.verify_rows("int8", runners, PLANS["int8"].tolerance)
        errors = [max(measure(self._signature, case, runners).values()) for case in self._golden.values()]
        self._note("int8", verified=True, max_error=max(errors), golden=runners)

    def make_half(self, graphs: Graphs) -> None:
        """fp16: unproven unless there is a CUDA device to verify it on."""
        self._save("fp16", to_half(graphs))
        error = None
        if has_cuda():
            self.report("verifying fp16 on CUDA")
            runners = self._open("fp16", "cuda")
            tolerance = PLANS["fp16"].tolerance
            error = verify_numbers(self._signature, "fp16", list(self._golden.values()), runners, tolerance)
            self.material.verify_rows("fp16", runners, tolerance)
        self._note("fp16", verified=error is not None, max_error=error)

    def judge(self) -> tuple[list[Variant], list[Score]]:
        """Answer the validation split through the engine; returns what ships, and its scores."""
        write_manifest(self.folder, self.material, self.target, list(self.made.values()))
        rows = self.material.rows
        metrics: dict[Precision, Mapping[str, float]] = {}
        for precision, variant in self.made.items():
            if variant.status == "unproven":
                continue
            self.report(f"answering {len(rows)} validation {self.material.units} with {precision}")
            with self.material.engine(self.folder, precision) as ask:
                answers = ask(rows)
                speed = measure_speed(ask, rows, self.material.timing) if variant.provider != "cuda" else None
            if precision == "fp32":
                self.material.verify_engine(answers, self.options.tolerance)
            metrics[precision] = self.material.metrics(answers, partial(self._open, precision))
            self._verify_metric(precision, metrics)
            rounded = {name: round(value, 2) for name, value in metrics[precision].items()}
            self.made[precision] = variant.model_copy(update={"metrics": rounded, "speed": speed})
        shipped = [variant for variant in self.made.values() if variant.precision in self.options.ship]
        return shipped, [score for variant in shipped for score in self._scores(variant, metrics["fp32"])]

    def _verify_metric(self, precision: Precision, metrics: Mapping[Precision, Mapping[str, float]]) -> None:
        name = next(iter(metrics["fp32"]))
        title, drop = self.material.metric_title(name), self.options.metric_drop
        verify_metric(title, precision, metrics[precision][name], metrics["fp32"][name], drop)

    def _scores(self, variant: Variant, single: Mapping[str, float]) -> list[Score]:
        note = f"{len(self.material.rows)} {self.material.units}, {self.material.answered}"
        return [
            Score(
                metric=self.material.metric_title(name),
                value=value,
                data=self.material.about.licence.data,
                split="validation",
                precision=variant.precision,
                note=note if variant.precision == "fp32" else f"{note}; {single[name]:.2f} in fp32",
            )
            for name, value in variant.metrics.items()
        ]

    def _save(self, precision: Precision, graphs: Graphs) -> None:
        folder = self.folder / precision
        folder.mkdir()
        for kind, path in save_graphs(graphs, folder).items():
            verify_structure(path, kind, self._signature, precision)

    def _open(self, precision: Precision, provider: Literal["cpu", "cuda"] = "cpu") -> dict[GraphKind, Runner]:
        return {kind: open_graph(self.folder / precision / f"{kind}.onnx", provider) for kind in self._golden}

    def _note(
        self, precision: Precision, *, verified: bool, max_error: float | None, golden: Runners | None = None
    ) -> None:
        """Keep what was found of a precision, and its golden numbers: PyTorch's, or those of the graphs in `golden`."""
        save_golden(self.folder / golden_name(precision), self._signature, precision, self._golden, golden)
        self.made[precision] = describe_variant(self._signature, precision, verified=verified, max_error=max_error)
