"""Sessions and cases of each split, and the rows that a recommender learns from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.items import DUMMY, Catalogue
from contract.rows import Row
from contract.signature import Tensor
from models.data.sessions import (
    Case,
    CaseList,
    EventTable,
    Session,
    carve_latest,
    expand,
    read_cases,
    read_events,
    read_sessions,
)
from models.recommender import ITEM_COUNTS, ITEM_IDS
from models.tasks.recommend.config import RecommendData
from models.training.config import NoSplitError, Split

FOLLOWING = Tensor(name="following", dtype="int64", axes=("rows", "items"))
"""The item that came after each; the dummy where none is to be learnt."""


CATALOGUE, FREQUENCIES = "catalogue.json", "frequencies.npy"


@dataclass(frozen=True)
class RecommendVocabulary:
    """The catalogue of a run, and how often each of its indices is to be predicted in training, `[size]`."""

    catalogue: Catalogue
    frequencies: NDArray[np.int64]

    @classmethod
    def learn(cls, train: list[Session], validation: list[Session]) -> RecommendVocabulary:
        """The items of all sessions, and frequencies in those to train on."""
        catalogue = Catalogue.learn([*train, *validation])
        targets = [index for session in train for index in encode(session[1:], catalogue)]
        return cls(catalogue, np.bincount(targets, minlength=catalogue.size))

    @classmethod
    def load(cls, folder: Path) -> RecommendVocabulary:
        """Read it from a run folder."""
        return cls(Catalogue.load(folder / CATALOGUE), np.load(folder / FREQUENCIES))

    def save(self, folder: Path) -> None:
        """Write it into a run folder."""
        self.catalogue.save(folder / CATALOGUE)
        np.save(folder / FREQUENCIES, self.frequencies)


def read_training(data: RecommendData, root: Path) -> tuple[list[Session], list[Session]]:
    """Sessions to train on and to validate with, in the order of time.

    Raises:
        DataError: the file is missing or broken, or has too few sessions for both.
    """
    sessions = (
        read_events(data.train, root)[0] if isinstance(data.train, EventTable) else read_sessions(data.train, root)
    )
    return carve_latest(sessions, data.validation_share)


def split_cases(data: RecommendData, root: Path, split: Split) -> list[Case]:
    """The cases of a split: every prefix of every session, or those that a file of cases lists.

    Raises:
        NoSplitError: the config names no test data.
        DataError: a file is missing or broken.
    """
    if split != "test":
        train, validation = read_training(data, root)
        return list(expand(train if split == "train" else validation))
    if isinstance(data.test, CaseList):
        return read_cases(data.test, root)
    if isinstance(data.train, EventTable):
        return list(expand(read_events(data.train, root)[1]))
    if data.test is None:
        raise NoSplitError("the config names no test file (data.test)")
    return list(expand(read_sessions(data.test, root)))


def encode(items: Iterable[str], catalogue: Catalogue) -> list[int]:
    """Indices of the items that the catalogue has; the others are skipped, as a service skips them."""
    return [index for item in items if (index := catalogue.parse(item)) is not None]


def training_rows(sessions: Iterable[Session], catalogue: Catalogue, max_length: int) -> list[Row]:
    """Every position of every session once, together covering the cases of `expand`.

    A session longer than what is read at once gives one row for its beginning, and for each later item a row of the
    `max_length` items before it, of which only the last position counts.
    """
    rows: list[Row] = []
    for session in sessions:
        ids = encode(session, catalogue)
        if len(ids) > 1:
            rows.append(_row(ids[:-1][:max_length], ids[1 : max_length + 1]))
        rows += [
            _row(ids[end - max_length : end], [DUMMY] * (max_length - 1) + [ids[end]])
            for end in range(max_length + 1, len(ids))
        ]
    return rows


def spread(sessions: Sequence[Session], most: int) -> list[Session]:
    """At most so many sessions, evenly spread over all of them."""
    step = max(len(sessions) / most, 1)
    return [sessions[int(place * step)] for place in range(min(most, len(sessions)))]


def _row(items: list[int], following: list[int]) -> Row:
    return {
        ITEM_IDS.name: np.array(items, np.int64),
        ITEM_COUNTS.name: np.array(len(items), np.int64),
        FOLLOWING.name: np.array(following, np.int64),
    }
