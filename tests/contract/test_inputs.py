from __future__ import annotations

import numpy as np
import pytest

from contract.inputs import EXCLUDE, ONLY, Row, document_row, items_row, prompt_row, session_row, story_row, text_row
from contract.rows import axis_sizes
from contract.signature import Tensor
from contract.tasks import TASKS


def values(row: Row) -> dict[str, object]:
    return {name: array.tolist() for name, array in row.items()}


def test_a_text_has_a_length() -> None:
    assert values(text_row([5, 6, 7])) == {"source_ids": [5, 6, 7], "source_lengths": 3}


def test_a_document_is_padded_to_its_longest_sentence() -> None:
    assert values(document_row([[5], [6, 7, 8], [9, 4]])) == {
        "word_ids": [[5, 0, 0], [6, 7, 8], [9, 4, 0]],
        "word_counts": [1, 3, 2],
        "sentence_counts": 3,
    }


def test_a_question_stands_beside_its_story() -> None:
    row = story_row([[5], [6, 7]], [8, 9, 4])
    assert values(row) == {
        "word_ids": [[5, 0], [6, 7]],
        "word_counts": [1, 2],
        "sentence_counts": 2,
        "question_ids": [8, 9, 4],
        "question_lengths": 3,
    }


def test_a_session_says_what_to_recommend() -> None:
    assert values(items_row([3, 1])) == {"item_ids": [3, 1], "item_counts": 2}
    assert values(session_row([3, 1], [7, 9], ONLY, 5)) == {
        "item_ids": [3, 1],
        "item_counts": 2,
        "filter_ids": [7, 9],
        "filter_mode": 1,
        "k": 5,
    }


def test_where_there_is_nothing_to_filter_by_the_dummy_stands_for_it() -> None:
    assert values(session_row([3], [], EXCLUDE, 5))["filter_ids"] == [0]


def test_the_last_token_of_a_prompt_is_left_to_the_first_step() -> None:
    assert values(prompt_row([2, 5, 6])) == {"prompt_ids": [2, 5], "prompt_lengths": 2}


def test_of_the_start_alone_nothing_is_read_but_a_place_is_kept() -> None:
    assert values(prompt_row([2])) == {"prompt_ids": [0], "prompt_lengths": 0}


def test_a_prompt_without_a_start_is_refused() -> None:
    with pytest.raises(ValueError, match="at least the token that starts"):
        prompt_row([])


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("translate", text_row([1, 2])),
        ("classify", text_row([1, 2])),
        ("classify", document_row([[1], [2, 3]])),
        ("recommend", session_row([1], [], EXCLUDE, 2)),
        ("answer", story_row([[1], [2, 3]], [4])),
        ("generate", prompt_row([2, 5])),
        ("complete-image", prompt_row([256, 0, 255])),
    ],
)
def test_rows_are_those_of_the_tasks(task: str, row: Row) -> None:
    assert tuple(row) in TASKS[task].inputs  # type: ignore[index]
    assert {array.dtype for array in row.values()} == {np.dtype(np.int64)}


def test_sizes_of_a_row_agree() -> None:
    tensors = [
        Tensor(name="word_ids", dtype="int64", axes=("rows", "sentences", "words")),
        Tensor(name="word_counts", dtype="int64", axes=("rows", "sentences")),
        Tensor(name="sentence_counts", dtype="int64", axes=("rows",)),
    ]
    assert axis_sizes(tensors, document_row([[1], [2, 3]])) == {"sentences": 2, "words": 2}
