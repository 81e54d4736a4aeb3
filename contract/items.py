"""The catalogue of a recommender: which item stands behind each of the model's indices."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ItemId = str | int
"""An item as the data name it: a number where all of them are numbers, else text."""

DUMMY = 0
"""The index that pads sessions and filters and is no item."""

POPULAR = 1_000
"""How many popular items a catalogue lists, for sessions of which nothing is known."""


class CatalogueError(ValueError):
    """A file that is not a catalogue, or an item that is not in one; the message says which."""


@dataclass(frozen=True)
class Catalogue:
    """Item ids in the order of the model's indices; index 0 is the dummy, so `ids[0]` has index 1.

    `popular` are indices, the most popular first.
    """

    ids: tuple[ItemId, ...]
    popular: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.ids:
            raise CatalogueError("a catalogue needs at least one item")
        if any(isinstance(item, bool) or not isinstance(item, str | int) for item in self.ids):
            raise CatalogueError("item ids must be texts or integers")
        if len({type(item) for item in self.ids}) > 1:
            raise CatalogueError("item ids must be all texts or all integers")
        if len(self._indices) < len(self.ids):
            twice = next(item for item, count in Counter(self.ids).items() if count > 1)
            raise CatalogueError(f"item {twice!r} is listed twice")
        if wrong := [index for index in self.popular if not 1 <= index <= len(self.ids)]:
            raise CatalogueError(f"popular index {wrong[0]} is outside 1 … {len(self.ids)}")

    @classmethod
    def learn(cls, sessions: Iterable[Sequence[str]]) -> Catalogue:
        """The items of sessions, the most frequent first; numbers where every id is a plain decimal integer."""
        counts = Counter(item for session in sessions for item in session)
        names = [name for name, _ in counts.most_common()]
        numbers = all(_is_number(name) for name in names)
        ids: tuple[ItemId, ...] = tuple(map(int, names)) if numbers else tuple(names)
        return cls(ids, tuple(range(1, min(len(ids), POPULAR) + 1)))

    @classmethod
    def load(cls, path: Path) -> Catalogue:
        """Read a catalogue file.

        Raises:
            CatalogueError: the file cannot be read or is not a catalogue.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            return cls(tuple(content["ids"]), tuple(content["popular"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CatalogueError(f"{path} is not a catalogue of items: {error!r}") from error

    def save(self, path: Path) -> None:
        """Write a catalogue file."""
        content = {"ids": self.ids, "popular": self.popular}
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")

    @property
    def size(self) -> int:
        """Number of indices: the items and the dummy."""
        return len(self.ids) + 1

    @cached_property
    def _indices(self) -> dict[ItemId, int]:
        return {item: index for index, item in enumerate(self.ids, 1)}

    def index(self, item: ItemId) -> int | None:
        """Index of an item; None when the catalogue does not have it. The text "7" is not the number 7."""
        return self._indices.get(item)

    def parse(self, text: str) -> int | None:
        """Index of an item as a data file writes it; None when the catalogue does not have it."""
        if isinstance(self.ids[0], str):
            return self.index(text)
        return self.index(int(text)) if _is_number(text) else None

    def item(self, index: int) -> ItemId:
        """The item of an index.

        Raises:
            CatalogueError: the index is the dummy's or lies outside the catalogue.
        """
        if not 1 <= index <= len(self.ids):
            raise CatalogueError(f"index {index} is no item: items are 1 … {len(self.ids)}")
        return self.ids[index - 1]


def _is_number(text: str) -> bool:
    """Whether text is an integer written the one way that writing the number gives back."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and str(int(text)) == text
