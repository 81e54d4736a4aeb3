"""What readers of line-based files share: lines, columns, and the validation part of a set that has none."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")

CARVED_PERCENT = 10


class DataError(ValueError):
    """Data that cannot be used; the message names the file and, where there is one, the line."""


class EmptySplitError(DataError):
    """A table that tells splits apart, and has nothing of the one that is asked for."""


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file, gzipped or not, split on newline only: other Unicode line separators are text.

    Raises:
        DataError: the file cannot be read, or a line is not UTF-8.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, 1):  # noqa: B007 the number is for the error below
                yield line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start})") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def find_column(column: str | int, names: Sequence[str], path: Path) -> int:
    """Index of a column by its name in the header, or the index itself.

    Raises:
        DataError: no column has that name; `names` is empty where there is no header.
    """
    if isinstance(column, int):
        return column
    if column not in names:
        known = ", ".join(names) if names else "none (header: false), use indices"
        raise DataError(f"{path}:1: no column {column!r}; columns: {known}")
    return names.index(column)


def carve(items: Sequence[Item], key: Callable[[Item], str]) -> tuple[list[Item], list[Item]]:
    """Training and validation parts of a set without a validation split.

    An item belongs to validation when the hash of its key falls into a fixed 10 %: the choice survives reordering and
    growth of the set, and equal keys never stand on both sides.

    Raises:
        DataError: one of the parts would be empty.
    """
    parts: tuple[list[Item], list[Item]] = [], []
    for item in items:
        parts[_is_carved(key(item))].append(item)
    if not all(parts):
        raise DataError(f"{len(items)} examples are too few to carve a validation set from; name a validation file")
    return parts


def _is_carved(text: str) -> bool:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % 100 < CARVED_PERCENT
