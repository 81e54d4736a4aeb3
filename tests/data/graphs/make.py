"""Makes the graphs of this folder: one-shot models that are small enough to be computed by hand.

`python -m tests.data.graphs.make` writes them; a test compares what is written with what is here.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.service.runtime.toy_graphs import CATALOGUE, CHARACTER, FOLDER, interest_table, tag_table

_INT, _FLOAT = TensorProto.INT64, TensorProto.FLOAT


def make_all() -> dict[str, bytes]:
    """File name → content."""
    return {"tag.onnx": _tag(), "attention.onnx": _attention(), "recommend.onnx": _recommend()}


def _tag() -> bytes:
    nodes = [
        helper.make_node("Gather", ["table", "source_ids"], ["by_word"]),
        helper.make_node("ReduceSum", ["character_ids", "last"], ["characters_whole"]),
        helper.make_node("Cast", ["characters_whole"], ["characters"], to=_FLOAT),
        helper.make_node("Mul", ["characters", "character_weight"], ["by_character"]),
        helper.make_node("ReduceSum", ["source_ids", "last"], ["total"]),
        helper.make_node("Unsqueeze", ["source_lengths", "last"], ["lengths"]),
        helper.make_node("Add", ["total", "lengths"], ["row_whole"]),
        helper.make_node("Cast", ["row_whole"], ["row"], to=_FLOAT),
        helper.make_node("Unsqueeze", ["row", "last"], ["by_row"]),
        helper.make_node("Add", ["by_word", "by_character"], ["without_row"]),
        helper.make_node("Add", ["without_row", "by_row"], ["emissions"]),
    ]
    inputs = [
        _value("source_ids", _INT, "rows", "source"),
        _value("source_lengths", _INT, "rows"),
        _value("character_ids", _INT, "rows", "source", "characters"),
        _value("character_counts", _INT, "rows", "source"),
    ]
    constants = [
        numpy_helper.from_array(tag_table(), "table"),
        numpy_helper.from_array(np.array([-1]), "last"),
        numpy_helper.from_array(np.array(CHARACTER, np.float32), "character_weight"),
    ]
    return _model(nodes, inputs, [_value("emissions", _FLOAT, "rows", "source", 3)], constants)


def _attention() -> bytes:
    nodes = [
        helper.make_node("Cast", ["source_ids"], ["logits"], to=_FLOAT),
        helper.make_node("Softmax", ["logits"], ["attention"], axis=-1),
    ]
    inputs = [_value("source_ids", _INT, "rows", "source"), _value("source_lengths", _INT, "rows")]
    return _model(nodes, inputs, [_value("attention", _FLOAT, "rows", "source")], [])


def _recommend() -> bytes:
    nodes = [
        helper.make_node("Gather", ["table", "item_ids"], ["by_item"]),
        helper.make_node("ReduceSum", ["by_item", "second"], ["interest"], keepdims=0),
        helper.make_node("Gather", ["identity", "filter_ids"], ["by_filter"]),
        helper.make_node("ReduceSum", ["by_filter", "second"], ["filtered"], keepdims=0),
        helper.make_node("Sub", ["one", "filter_mode"], ["excludes"]),
        helper.make_node("Cast", ["excludes"], ["sign"], to=_FLOAT),
        helper.make_node("Unsqueeze", ["sign", "second"], ["signs"]),
        helper.make_node("Mul", ["filtered", "signs"], ["penalty"]),
        helper.make_node("Sub", ["interest", "penalty"], ["all_scores"]),
        helper.make_node("Unsqueeze", ["item_counts", "second"], ["counts_whole"]),
        helper.make_node("Cast", ["counts_whole"], ["counts"], to=_FLOAT),
        helper.make_node("Add", ["all_scores", "counts"], ["catalogue_scores"]),
        helper.make_node("Reshape", ["k", "flat"], ["k_list"]),
        helper.make_node("TopK", ["catalogue_scores", "k_list"], ["scores", "candidates"]),
    ]
    inputs = [
        _value("item_ids", _INT, "rows", "items"),
        _value("item_counts", _INT, "rows"),
        _value("filter_ids", _INT, "rows", "filters"),
        _value("filter_mode", _INT, "rows"),
        _value("k", _INT),
    ]
    identity = 1000 * np.eye(CATALOGUE, dtype=np.float32)
    identity[0] = 0
    constants = [
        numpy_helper.from_array(interest_table(), "table"),
        numpy_helper.from_array(identity, "identity"),
        numpy_helper.from_array(np.array([1]), "second"),
        numpy_helper.from_array(np.array(1), "one"),
        numpy_helper.from_array(np.array([-1]), "flat"),
    ]
    outputs = [_value("candidates", _INT, "rows", "k"), _value("scores", _FLOAT, "rows", "k")]
    return _model(nodes, inputs, outputs, constants)


def _value(name: str, kind: int, *axes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, axes)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto],
) -> bytes:
    graph = helper.make_graph(nodes, "toy", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


if __name__ == "__main__":
    for name, content in make_all().items():
        (FOLDER / name).write_bytes(content)
