"""What an architecture may declare, and the graphs that follow."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contract.signature import Attention, GenerateSignature, PredictSignature, State, Tensor
from contract.tasks import check_task

SOURCE_IDS = Tensor(name="source_ids", dtype="int64", axes=("rows", "source"))
LENGTHS = Tensor(name="source_lengths", dtype="int64", axes=("rows",))
MEMORY = Tensor(name="memory", dtype="float32", axes=("rows", "source", 8))
HIDDEN = State(name="layer.0.hidden", dtype="float32", axes=("rows", 8), initial="start.0")
KEY = State(name="layer.0.key", dtype="float32", axes=("rows", "target", 8), write="at_position")


def names(tensors: tuple[Tensor, ...]) -> list[str]:
    return [tensor.name for tensor in tensors]


def test_generate_graphs_follow_from_the_declaration() -> None:
    signature = GenerateSignature(
        inputs=(SOURCE_IDS, LENGTHS),
        statics=(LENGTHS, MEMORY),
        states=(HIDDEN, KEY),
        attention=Attention(axes=("target", "source")),
        explain="explain_step",
    )
    inputs, outputs = signature.graph("encode")
    assert names(inputs) == ["source_ids", "source_lengths"]
    assert names(outputs) == ["memory", "start.0"], "an input handed on is not an output"
    inputs, outputs = signature.graph("step")
    assert names(inputs) == [
        "token_ids", "position", "k", "source_lengths", "memory", "layer.0.hidden", "layer.0.key",
    ]  # fmt: skip
    assert names(outputs) == ["candidates", "scores", "next.layer.0.hidden", "next.layer.0.key"]
    assert signature.graph("explain_step")[1][-1].axes == ("rows", "source")
    assert signature.graph_kinds() == ("encode", "step", "explain_step")
    with pytest.raises(ValueError, match="no graph 'predict'"):
        signature.graph("predict")


def test_a_teacher_forced_explain_graph_reads_the_target() -> None:
    signature = GenerateSignature(
        inputs=(SOURCE_IDS, LENGTHS),
        states=(KEY,),
        attention=Attention(axes=("target", "source")),
        explain="explain",
    )
    inputs, outputs = signature.graph("explain")
    assert names(inputs) == ["source_ids", "source_lengths", "target_ids"]
    assert outputs[0].axes == ("rows", "target", "source")


def test_one_shot_graphs() -> None:
    logits = Tensor(name="logits", dtype="float32", axes=("rows", 2))
    plain = PredictSignature(inputs=(SOURCE_IDS,), outputs=(logits,))
    assert plain.graph_kinds() == ("predict",)
    assert plain.graph("predict") == ((SOURCE_IDS,), (logits,))
    with pytest.raises(ValueError, match="no graph 'explain'"):
        plain.graph("explain")
    maps = Attention(axes=("hops", "source")), Attention(name="positions", axes=("source",), normalised=False)
    explained = PredictSignature(inputs=(SOURCE_IDS, LENGTHS), outputs=(logits,), attention=maps)
    assert explained.graph_kinds() == ("predict", "explain")
    inputs, outputs = explained.graph("explain")
    assert inputs == (SOURCE_IDS, LENGTHS)
    assert [(tensor.name, tensor.axes) for tensor in outputs] == [
        ("attention", ("rows", "hops", "source")),
        ("positions", ("rows", "source")),
    ]
    some = PredictSignature(inputs=(SOURCE_IDS, LENGTHS), outputs=(logits,), attention=maps, explained=("source_ids",))
    assert some.graph("explain")[0] == (SOURCE_IDS,)
    with pytest.raises(ValidationError, match="explained names what is no input: sauce_ids"):
        PredictSignature(inputs=(SOURCE_IDS,), outputs=(logits,), attention=maps, explained=("sauce_ids",))


@pytest.mark.parametrize("axes", [("source",), ("source", "rows"), ("rows", "rows"), ("rows", "colour")])
def test_axes_come_from_the_closed_list_and_rows_lead(axes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Tensor(name="x", dtype="float32", axes=axes)


def test_a_cache_has_the_capacity_axis_and_nothing_else_has() -> None:
    with pytest.raises(ValidationError, match="capacity axis"):
        State(name="key", dtype="float32", axes=("rows", 8), write="at_position")
    with pytest.raises(ValidationError, match="capacity axis"):
        State(name="key", dtype="float32", axes=("rows", "target", 8), write="replaced")


def test_a_circle_has_a_constant_size() -> None:
    assert State(name="key", dtype="float32", axes=("rows", 4, 8), write="circular").dynamic_axes == {0: "rows"}
    with pytest.raises(ValidationError, match="'circular' state has constant axes behind 'rows'"):
        State(name="key", dtype="float32", axes=("rows", "source", 8), write="circular")


def test_a_name_is_declared_once_and_attention_has_a_graph() -> None:
    with pytest.raises(ValidationError, match="declared twice: memory"):
        GenerateSignature(inputs=(SOURCE_IDS,), statics=(MEMORY, MEMORY))
    with pytest.raises(ValidationError, match="declared together"):
        GenerateSignature(inputs=(SOURCE_IDS,), statics=(MEMORY,), attention=Attention(axes=("source",)))


def test_a_translation_model_must_see_its_source() -> None:
    assert check_task("translate", GenerateSignature(inputs=(SOURCE_IDS, LENGTHS), states=(HIDDEN,))) == []
    blind = check_task("translate", GenerateSignature(inputs=(SOURCE_IDS, LENGTHS)))
    assert "cannot see its source" in blind[0]
    shape = check_task("translate", PredictSignature(inputs=(SOURCE_IDS, LENGTHS), outputs=(MEMORY,)))
    assert shape == ["task 'translate' needs a generate model, this one is predict"]
