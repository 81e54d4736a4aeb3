"""What every precision wants: constants folded, equal things shared, nothing left of the tracer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes import common

from export.passes.values import add_constant, constant, remove_unused, replace

_MOVEMENTS = {"Cast", "Concat", "Expand", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
_UNIT_ROWS = {"ReduceL2", "Clip", "Div"}
_FOLDED = _MOVEMENTS | _UNIT_ROWS
"""Movements of data, and the rows of a table brought to length 1; other arithmetic on constants belongs into an
architecture's constructor."""


def fold_constants(model: ir.Model) -> None:
    """Rearrange weights once here and not at every load, such as the gates of a recurrent layer.

    Unlike the exporter's own folding it has no limit of size and folds nodes with several outputs.
    """
    graph = model.graph
    for node in tuple(graph):
        if node.op_type not in _FOLDED or node.domain:
            continue
        found = {str(value.name): constant(value) for value in node.inputs if value is not None}
        arrays = {name: array for name, array in found.items() if array is not None}
        if len(arrays) < len(found):
            continue
        for output, array in zip(node.outputs, _evaluate(node, arrays, model.opset_imports), strict=True):
            replace(output, add_constant(graph, f"{output.name}.folded", array))
        graph.remove(node, safe=True)
    remove_unused(model)


def share_equal(model: ir.Model) -> None:
    """Compute equal nodes once and hold equal initialisers once."""
    common.DeduplicateInitializersPass(size_limit=1 << 40)(model)
    common.CommonSubexpressionEliminationPass()(model)
    remove_unused(model)


def forget_origin(model: ir.Model) -> None:
    """Drop the tracer's notes: its stack traces name files of the machine that exported."""
    common.ClearMetadataAndDocStringPass()(model)
    model.graph.name = "graph"
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    values = {*model.graph.inputs, *model.graph.initializers.values()}
    values.update(output for node in model.graph.all_nodes() for output in node.outputs)
    for value in values:
        value.metadata_props.clear()


def _evaluate(node: ir.Node, arrays: dict[str, Any], opsets: dict[str, int]) -> list[NDArray[Any]]:
    used = [value for value in node.inputs if value is not None]
    inputs = [ir.Value(name=value.name, type=value.type, shape=value.shape) for value in used]
    single = ir.Node(
        node.domain,
        node.op_type,
        inputs,
        node.attributes.values(),
        outputs=[ir.Value(name=output.name) for output in node.outputs],
    )
    graph = ir.Graph(inputs, single.outputs, nodes=[single], opset_imports=opsets, name="constant")
    results = ReferenceEvaluator(ir.to_proto(ir.Model(graph, ir_version=10))).run(None, arrays)
    return [np.asarray(result) for result in results]
