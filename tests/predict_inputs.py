"""Random inputs of one-shot models, of any kind that a task feeds: text, documents, stories, words, sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.axes import Axis
from contract.rows import Row, axis_sizes
from contract.signature import PredictSignature

Array = NDArray[Any]
Batch = dict[str, Array]

VOCABULARY = 19
"""Number of ids of every kind (words, characters, items); id 0 is padding."""

COUNTED = {
    "source_ids": "source_lengths",
    "word_ids": "word_counts",
    "character_ids": "character_counts",
    "item_ids": "item_counts",
    "question_ids": "question_lengths",
}
"""Ids → the input that says how many of the last axis are real; what lies past them may be anything."""

_IDS = {"source": "source_ids", "target": "source_ids", "items": "item_ids"}
_LENGTH = {
    "source": "source_lengths",
    "target": "source_lengths",
    "items": "item_counts",
    "sentences": "sentence_counts",
}
_LENGTHS = {
    "mixed": (3, 1, 7, 2, 5, 4, 6),
    "traced": (4, 2, 3),
    "single": (1,),
}
_DOCUMENTS = {
    # A document of one sentence beside one of many, and sentences of one word.
    "mixed": ((3, 1), (2,), (1, 4, 2, 3, 5, 1), (1,), (6, 2, 2)),
    "traced": ((2, 3), (4, 1, 2)),
    "single": ((1,),),
}


def random_rows(signature: PredictSignature, shape: str, seed: int) -> list[Row]:
    """Rows of unequal sizes for a model with this signature.

    `shape` is *mixed* (from one position up), *traced* (other sizes, none of them 1, to export with) or *single* (one
    row of one position).
    """
    draw = np.random.default_rng(seed)
    names = {tensor.name for tensor in signature.inputs}
    if "word_ids" in names:
        document = _story if "question_ids" in names else _document
        return [document(draw, sentences) for sentences in _DOCUMENTS[shape]]
    make: Callable[[np.random.Generator, int], Row] = _text
    if "character_ids" in names:
        make = _words
    if "item_ids" in names:
        make = _session
    return [make(draw, length) for length in _LENGTHS[shape]]


def fill_padding(batch: Mapping[str, Array], seed: int, widen: int = 2) -> Batch:
    """The batch with `widen` more positions of padding along every axis, and random ids wherever nothing counts."""
    draw = np.random.default_rng(seed)
    filled = {
        name: np.pad(array, [(0, 0), *[(0, widen)] * (array.ndim - 1)]) if array.ndim else array
        for name, array in batch.items()
    }
    for name in COUNTED.keys() & filled.keys():
        filled[name] = np.where(real_positions(filled, name), filled[name], _ids(draw, *filled[name].shape))
    return filled


def real_positions(batch: Mapping[str, Array], ids: str) -> NDArray[np.bool_]:
    """True where the ids of that name count."""
    size = batch[ids].shape[-1]
    mask: NDArray[np.bool_] = np.arange(size) < batch[COUNTED[ids]][..., None]
    return mask


def axis_mask(batch: Mapping[str, Array], axes: Sequence[Axis], place: int) -> NDArray[np.bool_]:
    """True at the real positions of `axes[place]`, with as many axes as `axes` (rows first), to be broadcast."""
    axis = str(axes[place])
    if axis == "words":
        mask, places = real_positions(batch, "word_ids"), (0, place - 1, place)
    else:
        size = batch["word_counts"].shape[1] if axis == "sentences" else batch[_IDS[axis]].shape[1]
        mask, places = np.arange(size) < batch[_LENGTH[axis]][:, None], (0, place)
    shape = [1] * len(axes)
    for index, length in zip(places, mask.shape, strict=True):
        shape[index] = length
    return mask.reshape(shape)


def row_sizes(signature: PredictSignature, row: Row) -> dict[str, int]:
    """Size of every axis of a row; what a source attends from is the source itself."""
    sizes = axis_sizes(signature.inputs, row)
    return {**sizes, "target": sizes["source"]} if "source" in sizes else sizes


def _ids(draw: np.random.Generator, *shape: int) -> Array:
    return draw.integers(1, VOCABULARY, shape)


def _text(draw: np.random.Generator, length: int) -> Row:
    return {"source_ids": _ids(draw, length), "source_lengths": np.array(length)}


def _words(draw: np.random.Generator, length: int) -> Row:
    counts = draw.integers(1, 6, length)
    character_ids = _ids(draw, length, int(counts.max()))
    character_ids[np.arange(character_ids.shape[1]) >= counts[:, None]] = 0
    return {**_text(draw, length), "character_ids": character_ids, "character_counts": counts}


def _document(draw: np.random.Generator, sentences: tuple[int, ...]) -> Row:
    counts = np.array(sentences)
    word_ids = _ids(draw, len(sentences), max(sentences))
    word_ids[np.arange(word_ids.shape[1]) >= counts[:, None]] = 0
    return {"word_ids": word_ids, "word_counts": counts, "sentence_counts": np.array(len(sentences))}


def _story(draw: np.random.Generator, sentences: tuple[int, ...]) -> Row:
    """A question of as many words as its story's first sentence, and one more."""
    length = sentences[0] + 1
    return {
        **_document(draw, sentences),
        "question_ids": _ids(draw, length),
        "question_lengths": np.array(length),
    }


def _session(draw: np.random.Generator, length: int) -> Row:
    """Every other session excludes two items, the others want one of five."""
    only = length % 2
    filters = draw.choice(np.arange(1, VOCABULARY), 5 if only else 2, replace=False)
    return {
        "item_ids": _ids(draw, length),
        "item_counts": np.array(length),
        "filter_ids": filters,
        "filter_mode": np.array(only),
        "k": np.array(3 + length),
    }
