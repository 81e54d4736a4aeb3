"""The recipe of each precision: which passes, in which order.

Every precision starts from the same simplified fp32 graphs, and every result is verified again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from contract.signature import GraphKind
from export.calibrate import Ranges
from export.passes.bias import Means, correct_biases
from export.passes.convolution import average_exactly, quantise_convolutions
from export.passes.half import convert_to_half
from export.passes.integer import fold_embedding_scale, quantise_products, store_small
from export.passes.linear import tie_transposes, unify_linears
from export.passes.simplify import fold_constants, forget_origin, share_equal
from export.passes.smooth import Divisors, smooth_products

Pass = Callable[[ir.Model], None]
Graphs = dict[GraphKind, ir.Model]

SIMPLIFY: tuple[Pass, ...] = (fold_constants, unify_linears, tie_transposes, share_equal, forget_origin)


def simplify(traced: Mapping[GraphKind, ir.Model]) -> Graphs:
    """The fp32 graphs: what was traced, without what only the tracer needed."""
    return {kind: _run(graph, SIMPLIFY) for kind, graph in traced.items()}


def smooth(graphs: Mapping[GraphKind, ir.Model], divisors: Divisors) -> Graphs:
    """Simplified fp32 graphs without outliers in what int8 rounds; they compute the same and still share weights."""
    return {kind: _run(graph, (lambda model: smooth_products(model, divisors),)) for kind, graph in graphs.items()}


def correct(graph: ir.Model, means: Means) -> ir.Model:
    """A simplified fp32 graph whose convolutions make up beforehand for the rounding of their filters."""
    return _run(graph, (lambda model: correct_biases(model, means),))


def to_half(graphs: Mapping[GraphKind, ir.Model]) -> Graphs:
    """The fp16 graphs of simplified fp32 ones, for CUDA."""
    return {kind: _run(graph, (convert_to_half,)) for kind, graph in graphs.items()}


def to_integer(graphs: Mapping[GraphKind, ir.Model], ranges: Ranges) -> Graphs:
    """The int8 graphs of simplified fp32 ones, for CPUs.

    Graphs that are not calibrated (the explaining ones, which run seldom) compute in fp32 on the same stored int8
    weights.
    """

    def quantise(kind: GraphKind) -> tuple[Pass, ...]:
        if kind not in ranges:
            return store_small, fold_embedding_scale
        return (
            lambda model: quantise_convolutions(model, ranges[kind]),
            average_exactly,
            lambda model: quantise_products(model, ranges[kind]),
            store_small,
            fold_embedding_scale,
        )

    return {kind: _run(graph, quantise(kind)) for kind, graph in graphs.items()}


def _run(graph: ir.Model, passes: tuple[Pass, ...]) -> ir.Model:
    model = graph.clone()
    for run_pass in passes:
        run_pass(model)
    return model
