"""Holds single graphs against the signature, and against PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from contract.manifest import Precision
from contract.rows import Array
from contract.signature import GraphKind, Signature
from export.cases import Case
from export.drive import Feed, Runner
from export.errors import AxesError, GraphFailedError, MetricError, NamesError, ToleranceError
from export.precisions import stored
from service.runtime.session import Provider, configure_threads, create_session, cuda_available
from service.runtime.verify import output_errors

Runners = Mapping[GraphKind, Runner]

SAME_ROW = 1e-4
"""How close most of a row's numbers must be whatever rows and padding are beside it, in log-probability."""


def open_graph(path: Path, provider: Provider = "cpu") -> Runner:
    """A graph of a bundle, opened as the service opens it; feeds are rounded to the types it takes.

    Raises:
        GraphFailedError: the runtime refuses the graph, or later an input that is fed.
    """
    configure_threads(1)
    graph = f"{path.parent.name}/{path.stem}"
    try:
        session = create_session(path, provider)
    except Exception as error:  # the runtime's exceptions have no common class of their own
        raise GraphFailedError(f"{graph} cannot be opened on {provider}: {error}") from error
    names = [output.name for output in session.get_outputs()]
    halves = {value.name for value in session.get_inputs() if value.type == "tensor(float16)"}

    def run(feed: Mapping[str, Array]) -> Feed:
        rounded = {name: array.astype(np.float16) if name in halves else array for name, array in feed.items()}
        try:
            outputs = session.run(names, rounded)
        except Exception as error:  # as above
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in rounded.items())
            raise GraphFailedError(f"{graph} fails on {shapes}: {error}") from error
        return dict(zip(names, outputs, strict=True))

    return run


def has_cuda() -> bool:
    """Whether fp16 can be verified here."""
    return cuda_available()


def verify_structure(path: Path, kind: GraphKind, signature: Signature, precision: Precision) -> None:
    """The file is a valid graph whose inputs and outputs are those the signature declares.

    Raises:
        NamesError, AxesError: naming what differs.
    """
    onnx.checker.check_model(str(path))
    graph = ir.load(path).graph
    for side, declared, held in zip(
        ("inputs", "outputs"), signature.graph(kind), (graph.inputs, graph.outputs), strict=True
    ):
        names = [value.name for value in held]
        if names != [tensor.name for tensor in declared]:
            wanted = ", ".join(tensor.name for tensor in declared)
            raise NamesError(
                f"{precision}/{kind}: the {side} are {', '.join(map(str, names))}, the signature says {wanted}"
            )
        for tensor, value in zip(declared, held, strict=True):
            found = (_type_name(value), [str(size) for size in value.shape or ()])
            if found != (stored(tensor, precision).dtype, [str(axis) for axis in tensor.axes]):
                raise AxesError(
                    f"{precision}/{kind}: {tensor.name!r} is {found[0]} {found[1]}, "
                    f"the signature says {stored(tensor, precision).dtype} {list(tensor.axes)}"
                )


def verify_numbers(
    signature: Signature, precision: Precision, cases: Sequence[Case], runners: Runners, tolerance: float
) -> float:
    """Every graph gives PyTorch's numbers at the cases' shapes; returns the largest error.

    Raises:
        ToleranceError: naming graph, tensor, shapes and error.
    """
    errors = [0.0]
    for case in cases:
        for name, error in measure(signature, case, runners).items():
            if not error <= tolerance:
                raise ToleranceError(
                    f"{precision}/{case.kind}: {name!r} differs from PyTorch by {error:.3g}, allowed is "
                    f"{tolerance:.3g} (inputs {case.shapes})"
                )
            errors.append(error)
    return max(errors)


def measure(signature: Signature, case: Case, runners: Runners) -> dict[str, float]:
    """Largest absolute difference of each output of a case's graph from PyTorch."""
    return output_errors(signature, case.kind, case.inputs, case.outputs, runners[case.kind](case.inputs))


def verify_metric(metric: str, precision: Precision, value: float, reference: float, allowed: float) -> None:
    """A reduced precision costs at most `allowed` points of the task's metric.

    Raises:
        MetricError: it costs more.
    """
    if not reference - value <= allowed:
        raise MetricError(
            f"{precision}: {metric} on the validation split is {value:.2f}, fp32 has {reference:.2f}: "
            f"{reference - value:.2f} lost, allowed is {allowed:.2f}"
        )


def _type_name(value: ir.Value) -> str:
    return "?" if value.dtype is None else str(value.dtype.numpy())
