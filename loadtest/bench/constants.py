"""The constants of a bundle's graphs as the parameters of the PyTorch module that they were exported from.

Most keep their name. Matrices that the exporter turned over and named anew are known by the bias added to their
product, or else by their shape and their place among those of the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

Floats = NDArray[np.float32]

_PREFIX, _TURNED, _INT8, _HALF, _BIAS = "model.", ".transposed", ".int8", ".half", ".bias"
_PRODUCTS = ("MatMul", "MatMulIntegerToFloat")
_RESTORING = ("Cast", "Mul", "Transpose", "DequantizeLinear")
_GATES: dict[str, tuple[int, ...]] = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""For each cell the place, among ONNX's gates, of those of PyTorch: LSTM i f g o, GRU r z n."""


class Constants:
    """All constants of some graphs, in float32: what is held in int8 is multiplied out."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._named: dict[str, Floats] = {}
        self._biased: dict[str, Floats] = {}
        self._unnamed: dict[str, Floats] = {}
        self._recurrent: list[tuple[str, list[Floats]]] = []
        for file in files:
            self._read(onnx.load(file).graph)

    def fill(self, module: nn.Module) -> tuple[dict[str, Floats], list[str]]:
        """Values of a module's parameters by name, and the names of those that are not to be found."""
        found = dict(self._networks(module))
        left = list(self._unnamed.values())
        missing = []
        for name, parameter in module.state_dict().items():
            value = found.get(name, self._named.get(name, self._biased.get(name)))
            if value is None:
                shape = tuple(parameter.shape)
                place = next((index for index, constant in enumerate(left) if constant.shape == shape), None)
                value = None if place is None else left.pop(place)
            if value is None or value.shape != tuple(parameter.shape):
                missing.append(name)
            else:
                found[name] = value
        return found, missing

    def _read(self, graph: onnx.GraphProto) -> None:
        raw = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
        producers = {output: node for node in graph.node for output in node.output}
        for name in raw:
            bare = name.removesuffix(_INT8).removesuffix(_HALF)
            if bare.startswith(_PREFIX) and not bare.endswith((".scale", ".scales", ".zero_point")):
                value = _floats(name, raw)
                turned = bare.endswith(_TURNED)
                self._named[bare.removeprefix(_PREFIX).removesuffix(_TURNED)] = value.T if turned else value
        for node in graph.node:
            self._read_node(node, raw, producers)
        for node in graph.node:
            bias = next((name for name in node.input if _parameter(name).endswith(_BIAS)), None)
            product = next(
                (producers[n] for n in node.input if n in producers and producers[n].op_type in _PRODUCTS), None
            )
            if node.op_type == "Add" and bias and product is not None:
                self._name_product(product, bias, raw, producers)

    def _read_node(self, node: onnx.NodeProto, raw: dict[str, Any], producers: dict[str, onnx.NodeProto]) -> None:
        if node.op_type in _GATES:
            operands = [_floats(_origin(name, raw, producers), raw) for name in node.input[1:4]]
            self._recurrent.append((node.op_type, operands))
        elif node.op_type == "QLinearConv" and len(node.input) > 8:
            scale = raw[node.input[1]] * raw[node.input[4]]
            self._named[_parameter(node.input[8]).replace(f".weight{_BIAS}", _BIAS)] = raw[node.input[8]] * scale
        elif node.op_type in _PRODUCTS and node.input[1] in raw:
            biases = [name for name in node.input[5:] if name]
            if biases:
                self._name_product(node, biases[0], raw, producers)
            elif _parameter(node.input[1]) not in self._named:
                self._unnamed.setdefault(node.input[1], _floats(node.input[1], raw).T)
        elif node.op_type == "Gather" and (table := _origin(node.input[0], raw, producers)) in raw:
            self._unnamed.setdefault(table, _floats(table, raw))

    def _name_product(
        self, product: onnx.NodeProto, bias: str, raw: dict[str, Any], producers: dict[str, onnx.NodeProto]
    ) -> None:
        matrix = product.input[1]
        if matrix in raw:
            self._unnamed.pop(matrix, None)
            self._biased[_parameter(bias).removesuffix(_BIAS) + ".weight"] = _floats(matrix, raw).T

    def _networks(self, module: nn.Module) -> Iterator[tuple[str, Floats]]:
        """Parameters of the recurrent networks that a graph reads at once, one operator for each layer."""
        left = iter(self._recurrent)
        for prefix, network in module.named_modules():
            if not isinstance(network, nn.RNNBase) or f"{prefix}.weight_ih_l0" in self._named:
                continue
            for layer in range(network.num_layers):
                operator, (inputs, states, biases) = next(left, ("", [np.zeros(0)] * 3))
                if not operator:
                    return
                for direction in range(len(inputs)):
                    suffix = f"l{layer}" + ("_reverse" if direction else "")
                    halves = np.split(biases[direction], 2)
                    values = (inputs[direction], states[direction], *halves)
                    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                    for name, value in zip(names, values, strict=True):
                        yield f"{prefix}.{name}_{suffix}", _reordered(value, _GATES[operator])


def _reordered(value: Floats, gates: tuple[int, ...]) -> Floats:
    parts = np.split(value, len(gates))
    return np.concatenate([parts[gate] for gate in gates])


def _origin(name: str, raw: dict[str, Any], producers: dict[str, onnx.NodeProto]) -> str:
    """The constant that a value was restored from; the name itself where it was not."""
    while name not in raw and name in producers and producers[name].op_type in _RESTORING:
        name = producers[name].input[0]
    return name


def _floats(name: str, raw: dict[str, Any]) -> Floats:
    value = raw[name]
    if not name.endswith(_INT8):
        return np.asarray(value, dtype=np.float32)
    bare = name.removesuffix(_INT8)
    scale = raw[f"{bare}.scales"] if f"{bare}.scales" in raw else raw[f"{bare}.scale"]
    if scale.ndim == 1 and value.ndim == 4:
        scale = scale[:, None, None, None]
    return np.asarray(value.astype(np.float32) * scale, dtype=np.float32)


def _parameter(name: str) -> str:
    return name.removeprefix(_PREFIX).removesuffix(_HALF).removesuffix(_INT8).removesuffix(_TURNED)
