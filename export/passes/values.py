"""The small steps that rewriting a graph is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

CONTRIB = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The array behind an initialiser; None when the value is computed or fed."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def add_constant(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    """An initialiser of that name; a number is appended where another value has it already.

    Asking twice for the same name and content gives the same initialiser.
    """
    unique, count = name, 0
    while unique in graph.initializers:
        if _same(graph.initializers[unique], array):
            return graph.initializers[unique]
        count += 1
        unique = f"{name}.{count}"
    tensor = ir.Tensor(np.asarray(array, order="C"), name=unique)
    value = ir.Value(name=unique, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def insert_before(
    graph: ir.Graph,
    anchor: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: dict[str, Any] | None = None,
    *,
    domain: str = "",
    dtype: ir.DataType | None = None,
    shape: ir.Shape | None = None,
    name: str | None = None,
) -> ir.Value:
    """Add a node with one output just before `anchor`, and return the output."""
    node = ir.node(op_type, inputs, attributes, domain=domain)
    output = node.outputs[0]
    output.name = name
    output.shape = shape
    output.type = None if dtype is None else ir.TensorType(dtype)
    graph.insert_before(anchor, node)
    if domain:
        graph.opset_imports.setdefault(domain, 1)
    return output


def replace(old: ir.Value, new: ir.Value) -> None:
    """Let every consumer of `old`, and the graph's outputs, use `new`, which takes its name, type and shape."""
    name = old.name
    new.shape = new.shape if new.shape is not None else old.shape
    new.type = new.type if new.type is not None else old.type
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name = None
    new.name = name


def remove_unused(model: ir.Model) -> None:
    """Drop nodes, initialisers and opset imports that nothing uses."""
    ir.passes.Sequential(common.RemoveUnusedNodesPass(), common.RemoveUnusedOpsetsPass())(model)


def only_consumer(value: ir.Value) -> ir.Node | None:
    """The one node that reads a value; None when several do or when the graph returns it."""
    uses = value.uses()
    return next(iter(uses)).node if len(uses) == 1 and not value.is_graph_output() else None


def first_consumer(graph: ir.Graph, value: ir.Value) -> ir.Node:
    """The first node of the graph's order that reads a value; it has at least one."""
    users = {use.node for use in value.uses()}
    return next(node for node in graph if node in users)


def _same(value: ir.Value, array: NDArray[Any]) -> bool:
    held = constant(value)
    return held is not None and held.dtype == array.dtype and held.shape == array.shape and bool((held == array).all())
