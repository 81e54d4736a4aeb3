"""Parallel text: line-aligned files or TSV, plain or gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from pydantic import Field

from contract.signature import Frozen

Pair = tuple[str, str]
"""A source text and its translation."""

CARVED_PERCENT = 10


class DataError(ValueError):
    """Data that cannot be used; the message names the file and, where there is one, the line."""


class LineAligned(Frozen):
    """Two files of which line N of one translates line N of the other."""

    source: str
    target: str


class Table(Frozen):
    """A tab-separated file without quoting; columns by name (the first line is a header) or by 0-based index."""

    table: str
    source: str | int
    target: str | int
    header: bool = Field(default=True, description="whether the first line names the columns")


Files = LineAligned | Table


def read_pairs(files: Files, root: Path) -> list[Pair]:
    """All pairs of one split, stripped of surrounding spaces; paths are relative to `root`.

    Raises:
        DataError: a missing file, text that is not UTF-8, files of unequal length, a missing column or an empty side.
    """
    rows = _table_rows(files, root) if isinstance(files, Table) else _aligned_rows(files, root)
    pairs = []
    for place, source, target in rows:
        pair = source.strip(), target.strip()
        if not all(pair):
            raise DataError(f"{place}: the {'target' if pair[0] else 'source'} is empty")
        pairs.append(pair)
    if not pairs:
        raise DataError(f"{root / (files.table if isinstance(files, Table) else files.source)}: no examples")
    return pairs


def carve(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Training and validation parts of a set without a validation split.

    A pair belongs to validation when the hash of its source falls into a fixed 10 %: the choice survives reordering
    and growth of the set, and equal sources never stand on both sides.
    """
    held_out = [pair for pair in pairs if _is_carved(pair[0])]
    if not held_out or len(held_out) == len(pairs):
        raise DataError(f"{len(pairs)} examples are too few to carve a validation set from; name a validation file")
    return [pair for pair in pairs if not _is_carved(pair[0])], held_out


def _is_carved(text: str) -> bool:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % 100 < CARVED_PERCENT


def _lines(path: Path) -> Iterator[str]:
    """Lines split on newline only: other Unicode line separators are text."""
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


def _aligned_rows(files: LineAligned, root: Path) -> Iterator[tuple[str, str, str]]:
    paths = root / files.source, root / files.target
    source, target = (list(_lines(path)) for path in paths)
    if len(source) != len(target):
        raise DataError(f"{paths[0]} has {len(source)} lines, {paths[1]} has {len(target)}: they must be aligned")
    for number, (left, right) in enumerate(zip(source, target, strict=True), 1):
        yield f"{paths[0 if not left.strip() else 1]}:{number}", left, right


def _table_rows(files: Table, root: Path) -> Iterator[tuple[str, str, str]]:
    path = root / files.table
    lines = enumerate(_lines(path), 1)
    names = next(lines, (0, ""))[1].split("\t") if files.header else []
    source, target = (_column(column, names, path) for column in (files.source, files.target))
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) <= max(source, target):
            raise DataError(f"{path}:{number}: {len(cells)} columns, column {max(source, target)} is asked for")
        yield f"{path}:{number}", cells[source], cells[target]


def _column(column: str | int, names: list[str], path: Path) -> int:
    if isinstance(column, int):
        return column
    if column not in names:
        known = ", ".join(names) if names else "none (header: false), use indices"
        raise DataError(f"{path}:1: no column {column!r}; columns: {known}")
    return names.index(column)
