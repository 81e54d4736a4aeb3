from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from contract.signature import GraphKind
from export.errors import AxesError, GraphFailedError, MetricError, NamesError
from export.optimise import Graphs, to_half
from export.store import save_graphs
from export.text import TextMaterial
from export.verify.graphs import open_graph, verify_metric, verify_structure

Simplified = Callable[[str], tuple[TextMaterial, Graphs]]


def saved(graphs: Graphs, folder: Path, kind: GraphKind) -> Path:
    return save_graphs({kind: graphs[kind]}, folder)[kind]


@pytest.mark.parametrize("kind", ["encode", "step"])
def test_graphs_as_declared_pass(simplified: Simplified, tmp_path: Path, kind: GraphKind) -> None:
    material, graphs = simplified("recurrent_seq2seq")
    verify_structure(saved(graphs, tmp_path, kind), kind, material.model.signature, "fp32")
    (tmp_path / "half").mkdir()
    verify_structure(saved(to_half(graphs), tmp_path / "half", kind), kind, material.model.signature, "fp16")


def test_a_renamed_tensor_is_named(simplified: Simplified, tmp_path: Path) -> None:
    material, graphs = simplified("recurrent_seq2seq")
    graphs["step"].graph.outputs[1].name = "points"
    with pytest.raises(NamesError, match=r"fp32/step: the outputs are candidates, points, .*says candidates, scores,"):
        verify_structure(saved(graphs, tmp_path, "step"), "step", material.model.signature, "fp32")


def test_a_wrong_axis_is_named(simplified: Simplified, tmp_path: Path) -> None:
    material, graphs = simplified("recurrent_seq2seq")
    graphs["encode"].graph.inputs[0].shape = ir.Shape(["rows", 7])
    with pytest.raises(AxesError, match=r"'source_ids' is int64 \['rows', '7'\], .* int64 \['rows', 'source'\]"):
        verify_structure(saved(graphs, tmp_path, "encode"), "encode", material.model.signature, "fp32")


def test_a_wrong_type_is_named(simplified: Simplified, tmp_path: Path) -> None:
    material, graphs = simplified("recurrent_seq2seq")
    with pytest.raises(AxesError, match=r"fp16/step: .* is float32 .* the signature says float16"):
        verify_structure(saved(graphs, tmp_path, "step"), "step", material.model.signature, "fp16")


def test_a_graph_that_does_not_run_is_a_failed_verification(simplified: Simplified, tmp_path: Path) -> None:
    _, graphs = simplified("recurrent_seq2seq")
    run = open_graph(saved(graphs, tmp_path, "encode"))
    with pytest.raises(GraphFailedError, match=r"encode fails on source_ids \[2, 3\], source_lengths \[1\]"):
        run({"source_ids": np.full((2, 3), 5), "source_lengths": np.array([3])})
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(GraphFailedError, match="broken cannot be opened"):
        open_graph(tmp_path / "broken.onnx")


def test_a_metric_may_fall_so_far_and_no_further() -> None:
    verify_metric("BLEU", "int8", 37.6, 38.0, 0.5)
    verify_metric("BLEU", "int8", 39.0, 38.0, 0.5)
    with pytest.raises(MetricError, match=r"int8: BLEU .* is 37\.40, fp32 has 38\.00: 0\.60 lost, allowed is 0\.50"):
        verify_metric("BLEU", "int8", 37.4, 38.0, 0.5)
