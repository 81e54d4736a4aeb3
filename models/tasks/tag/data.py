"""Texts of a tagging run as rows of ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contract.rows import Array, Row
from contract.sentences import split_sentences
from contract.text import Encoding
from contract.words import UNK_ID
from models.data.tagged import TaggedText, carve_tagged, read_tagged
from models.tagger import TAGS
from models.tasks.tag.config import TaggedData
from models.tasks.tag.vocabulary import Vocabulary
from models.training.config import Split
from models.training.data import read_part


def read_split(data: TaggedData, root: Path, split: Split) -> list[TaggedText]:
    """The sentences of one split, since a service tags texts sentence by sentence.

    Validation is carved from the training set where the config names none.
    """
    texts = read_part(data, split, lambda files: read_tagged(files, root), carve_tagged)
    return [sentence for text in texts for sentence in take_apart(text, data.language)]


def take_apart(text: TaggedText, language: str | None) -> list[TaggedText]:
    """The sentences of a text, each with the entities that begin in it.

    An entity that a cut goes through keeps its length, so that what is found of it never counts as right.
    """
    sentences = split_sentences(text.text, language)
    bounds = [*(sentence.start for sentence in sentences[1:]), len(text.text)]
    return [
        TaggedText(
            sentence.text,
            tuple(
                (label, start - sentence.start, end - sentence.start)
                for label, start, end in text.spans
                if sentence.start <= start < bound
            ),
            text.source,
        )
        for sentence, bound in zip(sentences, bounds, strict=True)
    ]


def encode(text: str, vocabulary: Vocabulary, max_length: int) -> Encoding:
    """The first words of a text, at most `max_length`."""
    encoding = vocabulary.words.encode(text)
    return Encoding(encoding.ids[:max_length], encoding.tokens[:max_length], encoding.offsets[:max_length])


def labelled_row(text: TaggedText, vocabulary: Vocabulary, max_length: int) -> Row:
    """A row of inputs and, beside them, the tags."""
    encoding = encode(text.text, vocabulary, max_length)
    tags = np.array(vocabulary.tag_ids(text.spans, encoding), np.int64)
    return {**vocabulary.words.inputs(text.text, encoding), TAGS.name: tags}


class NoisyRows:
    """The training rows of each epoch, in which words are unknown by chance: one seen n times by `rate / (rate + n)`.

    So the model learns what to make of unknown words, from their characters and neighbours (Kiperwasser and Goldberg
    2016, section 4).
    """

    def __init__(self, rows: Sequence[Row], rate: float, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        counts = np.bincount(np.concatenate([row["source_ids"] for row in rows])) if rows else np.ones(1)
        self._chance = rate / (rate + np.maximum(counts, 1))

    def __call__(self, epoch: int) -> Sequence[Row]:
        """The rows of an epoch; the same for the same seed and number."""
        draw = np.random.default_rng((self._seed, epoch))
        return [{**row, "source_ids": self._drop(row["source_ids"], draw)} for row in self._rows]

    def _drop(self, ids: Array, draw: np.random.Generator) -> Array:
        dropped: Array = np.where(draw.random(len(ids)) < self._chance[ids], UNK_ID, ids)
        return dropped
