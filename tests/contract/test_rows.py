"""Rows become a batch and come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.rows import axis_sizes, pad_rows, split_rows
from contract.signature import Tensor

WORD_IDS = Tensor(name="word_ids", dtype="int64", axes=("rows", "sentences", "words"))
WORD_COUNTS = Tensor(name="word_counts", dtype="int64", axes=("rows", "sentences"))
SENTENCE_COUNTS = Tensor(name="sentence_counts", dtype="int64", axes=("rows",))
K = Tensor(name="k", dtype="int64", axes=())
INPUTS = WORD_IDS, WORD_COUNTS, SENTENCE_COUNTS, K
CANDIDATES = Tensor(name="candidates", dtype="int64", axes=("rows", "k"))
MAP = Tensor(name="words", dtype="float32", axes=("rows", 2, "sentences", "words"))


def row(sentences: int, words: int, k: int = 1) -> dict[str, np.ndarray]:
    return {
        "word_ids": np.arange(1, sentences * words + 1).reshape(sentences, words),
        "word_counts": np.full(sentences, words),
        "sentence_counts": np.array(sentences),
        "k": np.array(k),
    }


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=6))
def test_rows_come_back_as_they_were(shapes: list[tuple[int, int, int]]) -> None:
    rows = [row(*shape) for shape in shapes]
    batch = pad_rows(INPUTS, rows)
    assert batch["k"] == max(k for _, _, k in shapes)
    sizes = [axis_sizes(INPUTS, each) for each in rows]
    back = split_rows((WORD_IDS, WORD_COUNTS, SENTENCE_COUNTS), batch, sizes)
    for given_row, own in zip(rows, back, strict=True):
        for name, array in own.items():
            np.testing.assert_array_equal(array, given_row[name])
    assert batch["word_ids"].sum() == sum(each["word_ids"].sum() for each in rows)


def test_outputs_are_cut_along_named_axes_alone() -> None:
    sizes = [axis_sizes(INPUTS, row(2, 3, k=1)), axis_sizes(INPUTS, row(1, 4, k=5))]
    outputs = {"candidates": np.arange(10).reshape(2, 5), "words": np.zeros((2, 2, 2, 4), np.float32)}
    first, second = split_rows((CANDIDATES, MAP), outputs, sizes)
    assert first["candidates"].tolist() == [0]
    assert second["candidates"].tolist() == [5, 6, 7, 8, 9]
    assert (first["words"].shape, second["words"].shape) == ((2, 2, 3), (2, 1, 4))


def test_axes_of_a_fixed_size_have_it_and_no_name() -> None:
    pixels = Tensor(name="pixels", dtype="uint8", axes=("rows", 4, 4, 3))
    assert axis_sizes([pixels], {"pixels": np.zeros((4, 4, 3), np.uint8)}) == {}
    with pytest.raises(ValueError, match=r"'pixels' has sizes \(4, 5, 3\) in a row, declared are \('rows', 4, 4, 3\)"):
        axis_sizes([pixels], {"pixels": np.zeros((4, 5, 3), np.uint8)})


def test_inputs_that_disagree_are_refused() -> None:
    broken = row(2, 3) | {"word_counts": np.ones(3, np.int64)}
    with pytest.raises(ValueError, match="'word_counts' has size 3 along 'sentences', another input 2"):
        axis_sizes(INPUTS, broken)
    with pytest.raises(ValueError, match="'word_ids' has 1 axes in a row"):
        axis_sizes(INPUTS, row(2, 3) | {"word_ids": np.ones(3, np.int64)})
