"""The order of an export: trace, optimise, verify, package. Nothing is put in place unless all of it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from contract.manifest import Manifest, Precision, Score, Variant, install, load_manifest
from contract.signature import GraphKind
from export.calibrate import calibrate
from export.cases import Case, build_cases
from export.drive import Row, Runner
from export.errors import ExportError
from export.golden import save_golden
from export.material import Material
from export.optimise import Graphs, simplify, to_half, to_integer
from export.package import describe_variant, golden_name, staging, write_manifest
from export.precisions import PLANS
from export.store import save_graphs
from export.trace import trace
from export.verify import (
    Runners,
    bleu,
    decode,
    has_cuda,
    measure,
    open_graph,
    verify_engine,
    verify_metric,
    verify_numbers,
    verify_rows,
    verify_steps,
    verify_structure,
)

Report = Callable[[str], None]

_TRACED, _GOLDEN = (4, 7, 2), (6, 1, 4)
"""Source lengths of the rows that graphs are traced with, and of the golden inputs."""
_COMPARED = ((1,), (5, 2), (3, 11, 1, 8, 6))
"""Source lengths of the batches on which graphs are compared with PyTorch; none has the traced shape."""
_CALIBRATED, _ENGINE_CHECKED = 128, 64
"""How many validation inputs choose int8's ranges, and how many engine outputs go through PyTorch again."""


@dataclass(frozen=True)
class Options:
    """What to export and how strict to be.

    Attributes:
        precisions: which are made and verified; fp32 always is, and first.
        ship: which of them the bundle holds.
        tolerance: of fp32 graphs, absolute, in log-probability or an output's own unit.
        metric_drop: how much of the task's metric (BLEU) a reduced precision may cost.
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
        self._golden = self._cases(_GOLDEN, target=4, seed=1)

    def trace(self) -> Graphs:
        """The simplified fp32 graphs."""
        traced: Graphs = {}
        for kind, case in self._cases(_TRACED, target=5, seed=2).items():
            self.report(f"tracing {kind}")
            example = {name: torch.from_numpy(np.asarray(array)) for name, array in case.inputs.items()}
            traced[kind] = trace(self.material.model, kind, example)
        self.report("simplifying")
        return simplify(traced)

    def make_single(self, graphs: Graphs) -> None:
        """fp32: held against PyTorch at several shapes, step by step, row by row and up to the limits."""
        self._save("fp32", graphs)
        self.report("verifying fp32 against PyTorch")
        runners = self._open("fp32")
        material, tolerance = self.material, self.options.tolerance
        cases = [case for lengths in _COMPARED for case in self._cases(lengths, target=6, seed=3).values()]
        error = verify_numbers(self._signature, "fp32", [*cases, *self._golden.values()], runners, tolerance)
        rows, targets = self._rollout()
        verify_steps(material, runners, rows, targets, tolerance)
        verify_rows(material, "fp32", runners, rows, targets, tolerance)
        longest = material.random_rows([material.limits.of("source")], seed=4)
        furthest = material.random_targets(1, material.limits.of("target"), seed=4)
        verify_steps(material, runners, longest, furthest, tolerance)
        self._note("fp32", verified=True, max_error=error)

    def make_integer(self, graphs: Graphs) -> None:
        """int8: its ranges chosen on validation examples."""
        self.report("calibrating int8")
        material = self.material
        rows = material.rows([source for source, _ in material.examples])
        ranges = calibrate(
            self._signature,
            graphs,
            rows[:: max(1, len(rows) // _CALIBRATED)],
            open_graph,
            bos=material.target.bos,
            eos=material.target.eos,
            max_steps=min(material.limits.of("target"), 64),
        )
        self._save("int8", to_integer(graphs, ranges))
        self.report("verifying int8")
        runners = self._open("int8")
        verify_rows(material, "int8", runners, *self._rollout(), PLANS["int8"].tolerance)
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
            verify_rows(self.material, "fp16", runners, *self._rollout(), tolerance)
        self._note("fp16", verified=error is not None, max_error=error)

    def judge(self) -> tuple[list[Variant], list[Score]]:
        """Decode the validation split through the engine; returns what ships, and its scores."""
        write_manifest(self.folder, self.material, self.target, list(self.made.values()))
        encoded = [(self.material.rows([source]), reference) for source, reference in self.material.examples]
        rows = [row for found, _ in encoded for row in found]
        references = [reference for found, reference in encoded if found]
        values: dict[Precision, float] = {}
        for precision, variant in self.made.items():
            if variant.status == "unproven":
                continue
            self.report(f"decoding {len(rows)} validation examples with {precision}")
            hypotheses = decode(self.folder, precision, rows)
            if precision == "fp32":
                checked = slice(_ENGINE_CHECKED)
                verify_engine(self.material, rows[checked], hypotheses[checked], self.options.tolerance)
            values[precision] = bleu(self.material, hypotheses, references)
            verify_metric(precision, values[precision], values["fp32"], self.options.metric_drop)
        shipped = [self._scored(precision, values.get(precision)) for precision in self.made]
        variants = [variant for variant in shipped if variant.precision in self.options.ship]
        scores = [self._score(name, value, len(rows)) for name, value in values.items() if name in self.options.ship]
        return variants, scores

    def _scored(self, precision: Precision, value: float | None) -> Variant:
        metrics = {} if value is None else {"bleu_lower_cased": round(value, 2)}
        return self.made[precision].model_copy(update={"metrics": metrics})

    def _score(self, precision: Precision, value: float, sentences: int) -> Score:
        return Score(
            metric="BLEU, lower-cased",
            value=round(value, 2),
            data=self.material.licence.data,
            split="validation",
            precision=precision,
            note=f"greedy, {sentences} sentences, through the decoding engine",
        )

    def _cases(self, lengths: Sequence[int], target: int, seed: int) -> dict[GraphKind, Case]:
        """A case of every graph, on random rows of these source lengths."""
        rows = self.material.random_rows([min(n, self.material.limits.of("source")) for n in lengths], seed)
        targets = self.material.random_targets(len(rows), min(target, self.material.limits.of("target")), seed)
        return build_cases(self.material.model, rows, targets, self.material.target.vocabulary_size)

    def _rollout(self) -> tuple[list[Row], list[list[int]]]:
        """Rows of mixed lengths, and targets for them, to be fed step by step."""
        lengths = [min(n, self.material.limits.of("source")) for n in (9, 1, 4, 12, 2)]
        rows = self.material.random_rows(lengths, seed=5)
        return rows, self.material.random_targets(len(rows), min(7, self.material.limits.of("target")), seed=5)

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
