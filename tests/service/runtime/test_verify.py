from __future__ import annotations

import numpy as np
import pytest

from contract.signature import GenerateSignature, PredictSignature, State, Tensor
from service.runtime.verify import log_probabilities, output_errors

LENGTHS = Tensor(name="source_lengths", dtype="int64", axes=("rows",))
SIGNATURE = GenerateSignature(
    inputs=(LENGTHS,),
    statics=(LENGTHS,),
    states=(
        State(name="cache", dtype="float32", axes=("rows", 2, "target"), write="at_position"),
        State(name="hidden", dtype="float32", axes=("rows", 2)),
    ),
)
INPUTS = {"position": np.array([0, 2])}


def outputs() -> dict[str, np.ndarray]:
    scores = np.array([[-0.5, -1.0, -2.0], [-0.1, -3.0, -4.0]], np.float32)
    return {
        "candidates": np.array([[2, 0, 1], [1, 2, 0]]),
        "scores": scores,
        "next.cache": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "next.hidden": np.zeros((2, 2), np.float32),
    }


def test_equal_outputs_do_not_differ() -> None:
    errors = output_errors(SIGNATURE, "step", INPUTS, outputs(), outputs())
    assert errors == {"scores": 0.0, "next.cache": 0.0, "next.hidden": 0.0}


def test_tokens_are_compared_by_what_they_scored_not_by_their_place() -> None:
    swapped = outputs()
    swapped["candidates"][0] = [0, 2, 1]
    swapped["scores"][0] = [-0.75, -0.75, -2.0]
    assert output_errors(SIGNATURE, "step", INPUTS, outputs(), swapped)["scores"] == 0.25
    reordered = outputs()
    reordered["candidates"] = reordered["candidates"][:, ::-1].copy()
    reordered["scores"] = reordered["scores"][:, ::-1].copy()
    assert output_errors(SIGNATURE, "step", INPUTS, outputs(), reordered)["scores"] == 0.0


@pytest.mark.parametrize(("row", "slot", "expected"), [(0, 0, 9.0), (0, 1, 0.0), (1, 2, 9.0)])
def test_of_a_cache_only_what_is_written_counts(row: int, slot: int, expected: float) -> None:
    changed = outputs()
    changed["next.cache"][row, 1, slot] += 9
    assert output_errors(SIGNATURE, "step", INPUTS, outputs(), changed)["next.cache"] == expected


def test_a_missing_number_and_a_wrong_shape_are_infinitely_wrong() -> None:
    lost, cut = outputs(), outputs()
    lost["next.hidden"][0, 0] = np.nan
    cut["next.hidden"] = cut["next.hidden"][:, :1]
    for wrong in (lost, cut):
        assert output_errors(SIGNATURE, "step", INPUTS, outputs(), wrong)["next.hidden"] == float("inf")


def test_a_token_that_is_not_among_the_candidates_has_no_number() -> None:
    table = log_probabilities(np.array([[1, 1]]), np.array([[-0.5, -0.5]], np.float32))
    assert np.isnan(table[0, 0])
    assert table[0, 1] == -0.5


def test_other_graphs_are_compared_as_they_are() -> None:
    signature = PredictSignature(inputs=(LENGTHS,), outputs=(LENGTHS,))
    expected, actual = {"source_lengths": np.array([3, 4])}, {"source_lengths": np.array([3, 6])}
    assert output_errors(signature, "predict", {}, expected, actual) == {"source_lengths": 2.0}


def test_a_candidate_that_one_side_left_out_is_taken_at_its_lowest_score() -> None:
    low = -np.inf

    def error(candidates: list[int], scores: list[float]) -> float:
        one = {"candidates": np.array([[4, 2, 9]]), "scores": np.array([[3.0, 2.0, low]], np.float32)}
        other = {"candidates": np.array([candidates]), "scores": np.array([scores], np.float32)}
        return output_errors(SIGNATURE, "predict", {}, one, other)["scores"]

    assert error([4, 2, 9], [3.0, 2.0, low]) == 0
    assert error([4, 2, 7], [3.0, 2.0, low]) == 0
    assert error([2, 4, 9], [3.0, 3.0, low]) == 1
    assert error([4, 5, 9], [3.0, 1.5, low]) == np.inf
    assert error([4, 2, 7], [3.0, 2.0, 1.0]) == np.inf
    assert error([4, 2, 9], [3.0, np.nan, low]) == np.inf


def test_large_outputs_differ_in_proportion() -> None:
    def error(largest: float) -> float:
        emissions = np.array([[[-largest, 1.0]]], np.float32)
        other = {"emissions": emissions + np.array([0, 0.5], np.float32)}
        return output_errors(SIGNATURE, "encode", {}, {"emissions": emissions}, other)["emissions"]

    assert [error(1.0), error(16.0), error(32.0), error(160.0)] == [0.5, 0.5, 0.25, 0.05]
