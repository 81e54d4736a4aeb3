"""The only call of the ONNX exporter: an architecture → one ONNX graph per kind, as the signature declares it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx_ir as ir
import torch
from torch import Tensor

from contract.signature import GraphKind
from contract.signature import Tensor as TensorSpec
from export.errors import TraceError
from export.graphs import graph_module
from models.architecture import Architecture
from models.layers.exportable import ONNX_OPSET

_MESSAGE_LENGTH = 600
_LOOPS = {"Loop", "If", "SequenceAt", "SplitToSequence"}
"""Ops that only appear when Python control flow was captured, which CUDA graphs cannot hold. `Scan` is exact."""


def trace(model: Architecture, kind: GraphKind, example: Mapping[str, Tensor]) -> ir.Model:
    """One graph of a model in opset 24, with the names and dynamic axes that the signature declares.

    Args:
        model: in evaluation mode, on the CPU.
        kind: which of the signature's graphs.
        example: an input for every tensor of the graph; no dynamic axis may be of size 0 or 1, which the exporter
            takes for constants.

    Raises:
        TraceError: the exporter failed, left a function or a loop in the graph, froze a dynamic axis or wrote a GRU
            that resets before the product.
    """
    inputs, outputs = model.signature.graph(kind)
    _check_example(kind, inputs, example)
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph_module(model, kind),
                tuple(example[tensor.name] for tensor in inputs),
                dynamo=True,
                opset_version=ONNX_OPSET,
                input_names=[tensor.name for tensor in inputs],
                output_names=[tensor.name for tensor in outputs],
                dynamic_shapes=(tuple(tensor.dynamic_axes for tensor in inputs),),
                verbose=False,
            )
        except Exception as error:  # the exporter raises whatever the traced code or its own passes raise
            names = ", ".join(tensor.name for tensor in inputs)
            raise TraceError(f"graph {kind} (inputs {names}): {_root_cause(error)}") from error
    assert program is not None
    traced = program.model
    _name_axes(kind, traced, (inputs, outputs))
    if faults := _faults(traced):
        raise TraceError(f"graph {kind}: {'; '.join(faults)}")
    return traced


def _check_example(kind: GraphKind, inputs: tuple[TensorSpec, ...], example: Mapping[str, Tensor]) -> None:
    for tensor in inputs:
        shape = tuple(example[tensor.name].shape)
        if any(shape[axis] < 2 for axis in tensor.dynamic_axes):
            raise TraceError(f"graph {kind}: trace {tensor.name!r} at sizes of 2 or more, not {shape}")


def _name_axes(
    kind: GraphKind, traced: ir.Model, declared: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]
) -> None:
    """Give the outputs the signature's axis names.

    The tracer has its own name for a size that no input has: k, and the target of a source that attends to itself.

    Raises:
        TraceError: a size is another one than the signature says; one that it calls dynamic may be a number.
    """
    inputs, outputs = declared
    fed = {axis for tensor in inputs for axis in tensor.dynamic_axes.values()}
    for value, tensor in zip(traced.graph.outputs, outputs, strict=True):
        sizes = list(value.shape or ())
        agree = len(sizes) == len(tensor.axes) and all(
            str(size) == str(axis) or (isinstance(axis, str) and axis not in fed and not isinstance(size, int))
            for size, axis in zip(sizes, tensor.axes, strict=True)
        )
        if not agree:
            raise TraceError(
                f"graph {kind}: output {tensor.name!r} was traced as {[str(size) for size in sizes]}, "
                f"the signature says {[str(axis) for axis in tensor.axes]}"
            )
        value.shape = ir.Shape(tensor.axes)


def _faults(traced: ir.Model) -> list[str]:
    faults = [f"function {function.name!r} was left in the graph" for function in traced.functions.values()]
    for node in traced.graph.all_nodes():
        if node.op_type in _LOOPS:
            faults.append(f"control flow was captured as {node.op_type} (node {node.name!r})")
        if node.op_type == "GRU" and node.attributes.get_int("linear_before_reset", 0) != 1:
            faults.append(f"node {node.name!r}: GRU with linear_before_reset=0 computes another cell than PyTorch's")
    return faults


def _root_cause(error: BaseException) -> str:
    """What went wrong first, without the exporter's advice around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_MESSAGE_LENGTH]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's talk about its own inner life off the console; faults come as exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*axis name.*", category=UserWarning)
            yield
    finally:
        logging.disable(before)
