"""One row of a model's inputs, as every task feeds it: the same in training, export and serving.

Rows are without the rows axis; `contract.rows` makes batches of them. The words of a tagger, which come with their
characters, are in `contract.words`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.images import Pixels
from contract.items import DUMMY
from contract.text import PAD_ID

Row = dict[str, NDArray[Any]]

START = "prompt_lengths"
"""The input that says at which position of its row the first step stands; without it, at 0."""
EXCLUDE, ONLY = 0, 1
"""The `filter_mode` of a row: its filter items may not be recommended, or no others may."""


def text_row(ids: Sequence[int]) -> Row:
    """A text: `source_ids [source]`, `source_lengths []`."""
    return {"source_ids": np.array(ids, np.int64), "source_lengths": np.array(len(ids), np.int64)}


def document_row(sentences: Sequence[Sequence[int]]) -> Row:
    """A document, sentence by sentence: `word_ids [sentences, words]`, `word_counts [sentences]`, `sentence_counts []`.

    Short sentences are padded with 0.
    """
    counts = [len(ids) for ids in sentences]
    words = np.zeros((len(sentences), max(counts)), np.int64)
    for place, ids in zip(words, sentences, strict=True):
        place[: len(ids)] = ids
    return {
        "word_ids": words,
        "word_counts": np.array(counts, np.int64),
        "sentence_counts": np.array(len(sentences), np.int64),
    }


def story_row(sentences: Sequence[Sequence[int]], question: Sequence[int]) -> Row:
    """A story, sentence by sentence, the last one last, and a question about it.

    The inputs of a document, and `question_ids [source]`, `question_lengths []`.
    """
    return {
        **document_row(sentences),
        "question_ids": np.array(question, np.int64),
        "question_lengths": np.array(len(question), np.int64),
    }


def items_row(indices: Sequence[int]) -> Row:
    """The items of a session, the last one last: `item_ids [items]`, `item_counts []`."""
    return {"item_ids": np.array(indices, np.int64), "item_counts": np.array(len(indices), np.int64)}


def session_row(indices: Sequence[int], filters: Sequence[int], mode: int, k: int) -> Row:
    """A session, and what to recommend: also `filter_ids [filters]`, `filter_mode []` and `k []`.

    The filters are never empty: where there is nothing to filter by, the dummy stands for it.
    """
    return {
        **items_row(indices),
        "filter_ids": np.array(filters or (DUMMY,), np.int64),
        "filter_mode": np.array(mode, np.int64),
        "k": np.array(k, np.int64),
    }


def image_row(pixels: Pixels) -> Row:
    """A picture: `pixels [size, size, 3]`, 8 bits a colour."""
    return {"pixels": pixels}


def prompt_row(ids: Sequence[int]) -> Row:
    """A prompt that starts with BOS, as `encode` reads it: `prompt_ids [target]`, `prompt_lengths []`.

    Its last token is left to the first step, whose position is the length. What encode reads of BOS alone is nothing:
    one token of padding, and a length of 0.

    Raises:
        ValueError: there is not even BOS.
    """
    if not ids:
        raise ValueError("a prompt needs at least the token that starts a text")
    read = ids[:-1]
    return {"prompt_ids": np.array(read or (PAD_ID,), np.int64), START: np.array(len(read), np.int64)}
