"""Graphs on disk: one `weights.bin` for all graphs of a precision, in which equal tensors are stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from contract.signature import GraphKind

WEIGHTS = "weights.bin"
_INLINE_BYTES = 256
"""Smaller tensors stay in the graph: shapes and scales that the runtime reads while it optimises."""
_ALIGNMENT = 64
"""Of each tensor in the file, in bytes: a cache line, and more than any element type needs."""


def save_graphs(graphs: Mapping[GraphKind, ir.Model], folder: Path) -> dict[GraphKind, Path]:
    """Write `<kind>.onnx` for every graph, and the weights they share, into an existing empty folder."""
    weights = _WeightsFile(folder)
    paths: dict[GraphKind, Path] = {}
    for kind, graph in graphs.items():
        stored = graph.clone()
        for value in stored.graph.initializers.values():
            tensor = value.const_value
            assert tensor is not None
            if tensor.nbytes >= _INLINE_BYTES:
                value.const_value = weights.add(tensor)
        paths[kind] = folder / f"{kind}.onnx"
        paths[kind].write_bytes(ir.to_proto(stored).SerializeToString())
    weights.close()
    return paths


class _WeightsFile:
    """Appends tensors by content: bytes that are there already are referred to, not written again."""

    def __init__(self, folder: Path) -> None:
        self._stream = (folder / WEIGHTS).open("xb")
        self._folder = folder
        self._offsets: dict[str, int] = {}

    def add(self, tensor: ir.TensorProtocol) -> ir.ExternalTensor:
        content = tensor.tobytes()
        key = hashlib.sha256(content).hexdigest()
        if key not in self._offsets:
            self._stream.write(bytes(-self._stream.tell() % _ALIGNMENT))
            self._offsets[key] = self._stream.tell()
            self._stream.write(content)
        return ir.ExternalTensor(
            WEIGHTS,
            self._offsets[key],
            len(content),
            tensor.dtype,
            shape=ir.Shape(tensor.numpy().shape),
            name=tensor.name or key,
            base_dir=self._folder,
        )

    def close(self) -> None:
        self._stream.close()
