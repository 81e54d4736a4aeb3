"""A Transformer's parameters, read back from the graphs of a bundle.

So the peer runs what ships, and nothing is needed beside the bundle. They are read from the widest precision that it
holds; half precision is far finer than the int8 that both engines round to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from contract.manifest import Manifest, Precision, Variant
from contract.signature import GenerateSignature, GraphKind

_WIDEST_FIRST: tuple[Precision, ...] = ("fp32", "fp16")
_PREFIX, _HALF = "model.", ".half"
_GRAPHS: tuple[GraphKind, ...] = ("encode", "step")


class WeightsError(ValueError):
    """The bundle does not hold the parameters that were asked for."""


def read_parameters(folder: Path, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Parameters by the name that PyTorch gives them, linear maps as `[out, in]`, and the table `positions`.

    Raises:
        WeightsError: the bundle holds int8 alone.
    """
    variant = _widest(folder, manifest)
    parameters: dict[str, NDArray[Any]] = {}
    for kind in _GRAPHS:
        graph = onnx.load(folder / variant.graph(kind).file).graph
        constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
        named = {_parameter(name): array for name, array in constants.items() if name.startswith(_PREFIX)}
        parameters |= {name: array for name, array in named.items() if not name.endswith(".transposed")}
        parameters |= _matrices(graph, constants)
    return parameters


def count_heads(manifest: Manifest) -> int:
    """Attention heads of a Transformer, from the shape of its caches `[rows, heads, target, size]`."""
    assert isinstance(manifest.signature, GenerateSignature)
    heads = manifest.signature.states[0].axes[1]
    assert isinstance(heads, int)
    return heads


def _widest(folder: Path, manifest: Manifest) -> Variant:
    held = {variant.precision: variant for variant in manifest.variants}
    for precision in _WIDEST_FIRST:
        if precision in held:
            return held[precision]
    raise WeightsError(f"{folder} holds {', '.join(held)} alone; the peer's weights need {' or '.join(_WIDEST_FIRST)}")


def _matrices(graph: onnx.GraphProto, constants: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Weights of linear maps, which export may have renamed: each is known by the bias added to its product."""
    producers = {output: node for node in graph.node for output in node.output}
    found = {}
    for node in graph.node:
        biases = [name for name in node.input if _parameter(name).endswith(".bias")]
        if node.op_type != "Add" or not biases:
            continue
        for name in node.input:
            product = producers.get(name)
            if product is not None and product.op_type == "MatMul" and product.input[1] in constants:
                found[_parameter(biases[0]).removesuffix("bias") + "weight"] = constants[product.input[1]].T
    return found


def _parameter(name: str) -> str:
    return name.removeprefix(_PREFIX).removesuffix(_HALF)
