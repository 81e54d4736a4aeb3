"""What is learnt to be written: a book of tunes, or a long text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from contract.text import TextCodec
from contract.tunes import FIELDS, Tune
from models.data.lines import DataError, carve, read_lines
from models.data.tunes import read_tunes
from models.tasks.generate.config import RunningText, Tunes, WrittenData
from models.training.config import Split
from models.training.data import read_part

Ids = list[list[int]]


class Book(ABC):
    """One split, as texts and as sequences of ids."""

    @property
    @abstractmethod
    def texts(self) -> Sequence[str]:
        """What it says."""

    @abstractmethod
    def fixed(self, codec: TextCodec) -> Ids:
        """All of it, as it is judged."""

    @abstractmethod
    def drawn(self, codec: TextCodec, random: np.random.Generator) -> Ids:
        """What one epoch sees of it."""


class TuneBook(Book):
    """Tunes, each closed by EOS; an epoch sees none of more than `max_length` tokens."""

    def __init__(self, tunes: Sequence[Tune], data: WrittenData) -> None:
        self._tunes, self._data = tunes, data

    @property
    def texts(self) -> Sequence[str]:
        return [tune.written() for tune in self._tunes]

    def fixed(self, codec: TextCodec) -> Ids:
        return _closed(codec, self.texts)

    def drawn(self, codec: TextCodec, random: np.random.Generator) -> Ids:
        texts = self.texts
        if self._data.shuffle_fields:
            texts = [tune.written(random.permutation(FIELDS).tolist()) for tune in self._tunes]
        return [ids for ids in _closed(codec, texts) if len(ids) <= self._data.max_length]


class TextBook(Book):
    """A text in windows of `max_length` tokens; an epoch's are shifted by some of them, and only whole ones."""

    def __init__(self, text: str, data: WrittenData) -> None:
        self._text, self._size = text, data.max_length

    @property
    def texts(self) -> Sequence[str]:
        return [self._text]

    def fixed(self, codec: TextCodec) -> Ids:
        return self._windows(codec, 0)

    def drawn(self, codec: TextCodec, random: np.random.Generator) -> Ids:
        windows = self._windows(codec, int(random.integers(self._size)))
        return [ids for ids in windows if len(ids) == self._size]

    def _windows(self, codec: TextCodec, start: int) -> Ids:
        # Line by line is much faster, and the same: a token is a character.
        ids = list(chain.from_iterable(codec.encode_batch(self._text.splitlines(keepends=True))))
        return [ids[at : at + self._size] for at in range(start, len(ids), self._size)]


def read_book(data: WrittenData, root: Path, split: Split) -> Book:
    """What the config names for a split; validation tunes are carved from the training set where it names none.

    Raises:
        ConfigError: the config names no files for the split.
        DataError: a file is missing or broken, or too small.
    """
    if isinstance(data.train, RunningText):
        return TextBook("".join(read_part(data, split, lambda part: _read_text(part, root), _carve_texts)), data)
    return TuneBook(read_part(data, split, lambda part: _read_tunes(part, root), _carve_tunes), data)


def _read_tunes(source: Tunes | RunningText, root: Path) -> list[Tune]:
    assert isinstance(source, Tunes)
    return read_tunes(root / source.tunes)


def _carve_tunes(tunes: list[Tune]) -> tuple[list[Tune], list[Tune]]:
    return carve(tunes, key=lambda tune: "\n".join(tune.music))


def _read_text(source: Tunes | RunningText, root: Path) -> list[str]:
    assert isinstance(source, RunningText)
    path = root / source.text
    text = "".join(f"{line}\n" for line in read_lines(path))
    first, last = (round(share * len(text)) for share in source.part)
    if first == last:
        raise DataError(f"{path}: there is no text in the part {list(source.part)}")
    return [text[first:last]]


def _carve_texts(texts: list[str]) -> tuple[list[str], list[str]]:
    return carve(texts, key=str)


def _closed(codec: TextCodec, texts: Sequence[str]) -> Ids:
    return [[*ids, codec.eos] for ids in codec.encode_batch(list(texts))]
