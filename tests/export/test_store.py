from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from export.store import WEIGHTS, save_graphs
from export.verify.graphs import open_graph
from tests.export.test_passes import normal, parse


def linear(weight: np.ndarray, bias: np.ndarray) -> ir.Model:
    text = "(float[n,16] x) => (float[n,24] y) { a = MatMul(x, weight) y = Add(a, bias) }"
    return parse(text, weight=weight, bias=bias)


def test_equal_weights_of_several_graphs_are_stored_once(tmp_path: Path) -> None:
    shared, other = normal(16, 24), normal(16, 24)
    graphs = {
        "encode": linear(shared, normal(24)),
        "step": linear(shared.copy(), normal(24)),
        "explain": linear(other, normal(24)),
    }
    paths = save_graphs(graphs, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encode.onnx", "explain.onnx", "step.onnx", WEIGHTS]
    assert (tmp_path / WEIGHTS).stat().st_size == 2 * shared.nbytes
    for kind, path in paths.items():
        held = onnx.load(path, load_external_data=False).graph.initializer
        outside = [tensor.name for tensor in held if tensor.data_location == onnx.TensorProto.EXTERNAL]
        assert outside == ["weight"], kind
        weight = graphs[kind].graph.initializers["weight"].const_value.numpy()
        bias = graphs[kind].graph.initializers["bias"].const_value.numpy()
        x = normal(3, 16)
        np.testing.assert_allclose(open_graph(path)({"x": x})["y"], x @ weight + bias, atol=1e-5)


def test_saving_leaves_the_graphs_as_they_were(tmp_path: Path) -> None:
    graphs = {"encode": linear(normal(16, 24), normal(24))}
    save_graphs(graphs, tmp_path)
    assert not isinstance(graphs["encode"].graph.initializers["weight"].const_value, ir.ExternalTensor)
