from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from contract.rows import Array
from contract.signature import GraphKind
from export.cases import generate_cases, torch_runner
from export.drive import Feed, Runner
from export.errors import (
    RowDependenceError,
    RuntimeMismatchError,
    StepMismatchError,
    ToleranceError,
)
from export.text import TextMaterial
from export.verify.generate import verify_engine, verify_rows, verify_steps
from export.verify.graphs import verify_numbers
from service.runtime.requests import Hypothesis
from tests.export.toys import VOCABULARY, make_material


@pytest.fixture(scope="module")
def material() -> TextMaterial:
    return make_material("attention_seq2seq")


@pytest.fixture
def runners(material: TextMaterial) -> dict[GraphKind, Runner]:
    """Graphs that are right: PyTorch's own."""
    return {kind: torch_runner(material.model, kind) for kind in material.model.signature.graph_kinds()}


def disturbed(run: Runner, name: str, change: Callable[[Array, Mapping[str, Array]], Array]) -> Runner:
    """A graph whose output `name` is changed; `change` sees the output and the inputs."""

    def wrong(feed: Mapping[str, Array]) -> Feed:
        outputs = run(feed)
        return {**outputs, name: change(outputs[name], feed)}

    return wrong


@pytest.mark.parametrize("kind", ["encode", "step", "explain_step"])
def test_a_number_off_is_named_with_its_tensor_and_shape(
    material: TextMaterial, runners: dict[GraphKind, Runner], kind: GraphKind
) -> None:
    signature = material.model.signature
    cases = generate_cases(
        material.model, material.random_rows((3, 5), 1), material.random_targets(2, 4, 1), VOCABULARY
    )
    assert verify_numbers(signature, "fp32", list(cases.values()), runners, 1e-6) == 0.0
    name = signature.graph(kind)[1][-1].name
    runners[kind] = disturbed(runners[kind], name, lambda output, _: output + np.float32(0.01))
    with pytest.raises(
        ToleranceError, match=rf"fp32/{kind}: '{name}' differs from PyTorch by 0\.01.*source_lengths \[2\]"
    ):
        verify_numbers(signature, "fp32", list(cases.values()), runners, 1e-4)


def test_a_step_that_forgets_differs_from_the_whole(material: TextMaterial, runners: dict[GraphKind, Runner]) -> None:
    rows, targets = material.random_rows((4, 2), 2), material.random_targets(2, 5, 2)
    verify_steps(material, runners, rows, targets, 1e-4)
    runners["step"] = disturbed(runners["step"], "next.layer.0.hidden", lambda output, feed: feed["layer.0.hidden"])
    with pytest.raises(
        StepMismatchError, match=r"position 1 of row 0 differ by .*sizes \[{'source': 4}, {'source': 2}\]"
    ):
        verify_steps(material, runners, rows, targets, 1e-4)


def test_a_graph_that_mixes_rows_is_found(material: TextMaterial, runners: dict[GraphKind, Runner]) -> None:
    rows, targets = material.random_rows((6, 1, 3), 3), material.random_targets(3, 4, 3)
    verify_rows(material, "fp32", runners, rows, targets, 1e-4)
    runners["step"] = disturbed(runners["step"], "scores", lambda output, _: output + 0.01 * output.mean(axis=0))
    with pytest.raises(
        RowDependenceError, match=r"fp32: row \d \(sizes {'source': [136]}\) alone and beside 2 rows differs by"
    ):
        verify_rows(material, "fp32", runners, rows, targets, 1e-4)


def test_a_graph_that_reads_padding_is_found(material: TextMaterial, runners: dict[GraphKind, Runner]) -> None:
    rows, targets = material.random_rows((6, 1, 3), 3), material.random_targets(3, 4, 3)
    whole = runners["encode"]
    runners["encode"] = lambda feed: whole(
        {**feed, "source_lengths": np.full_like(feed["source_lengths"], feed["source_ids"].shape[1])}
    )
    with pytest.raises(RowDependenceError, match="row 1"):
        verify_rows(material, "fp32", runners, rows, targets, 1e-4)


def test_a_few_tipped_roundings_are_allowed_and_shifted_rows_are_not(
    material: TextMaterial, runners: dict[GraphKind, Runner]
) -> None:
    rows, targets = material.random_rows((6, 1, 3), 3), material.random_targets(3, 4, 3)
    right = runners["step"]

    def tipped(output: Array, feed: Mapping[str, Array]) -> Array:
        here = (feed["position"] == 2) & (len(output) > 1)
        return output + np.float32(0.05) * here[:, None]

    runners["step"] = disturbed(right, "scores", tipped)
    verify_rows(material, "int8", runners, rows, targets, 0.1)
    runners["step"] = disturbed(right, "scores", lambda output, _: output + np.float32(0.05) * (len(output) > 1))
    with pytest.raises(RowDependenceError, match=r"median over all positions 0\.05"):
        verify_rows(material, "int8", runners, rows, targets, 0.1)


def greedy(material: TextMaterial, source: np.ndarray) -> tuple[list[int], float]:
    """PyTorch's own greedy choice of four tokens."""
    inputs = {"source_ids": torch.from_numpy(source)[None], "source_lengths": torch.tensor([len(source)])}
    chosen, total = [material.target.bos], 0.0
    for _ in range(4):
        with torch.no_grad():
            last = material.model(inputs, torch.tensor([chosen]))[0, -1].log_softmax(dim=-1)
        chosen.append(int(last.argmax()))
        total += float(last.max())
    return chosen[1:], total


def test_the_engine_must_choose_what_the_model_prefers(material: TextMaterial) -> None:
    rows = material.random_rows((5,), 4)
    chosen, total = greedy(material, rows[0]["source_ids"])
    right = Hypothesis(chosen, total / 4, total, finished=False)
    verify_engine(material, rows, [right], 1e-4)
    other = (chosen[2] + 1) % VOCABULARY
    wrong = Hypothesis([*chosen[:2], other, chosen[3]], total / 4, total, finished=False)
    with pytest.raises(RuntimeMismatchError, match=rf"chose token {other} at position 2, PyTorch prefers {chosen[2]}"):
        verify_engine(material, rows, [wrong], 1e-4)
    with pytest.raises(RuntimeMismatchError, match=r"log-probability differs from PyTorch's by 0\.1"):
        verify_engine(material, rows, [Hypothesis(chosen, 0.0, total + 0.1, finished=False)], 1e-4)
