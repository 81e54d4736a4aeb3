"""Parallel text: line-aligned files or TSV, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BeforeValidator, Field

from contract.signature import Frozen
from models.data import lines
from models.data.lines import DataError, find_column, read_lines

Pair = tuple[str, str]
"""A source text and its translation."""


class LineAligned(Frozen):
    """Two files of which line N of one translates line N of the other."""

    source: str
    target: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, as the config names them."""
        return self.source, self.target


class Table(Frozen):
    """A tab-separated file without quoting; columns by name (the first line is a header) or by 0-based index."""

    table: str
    source: str | int
    target: str | int
    header: bool = Field(default=True, description="whether the first line names the columns")

    @property
    def paths(self) -> tuple[str, ...]:
        """The file, as the config names it."""
        return (self.table,)


Files = LineAligned | Table


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Corpora = Annotated[tuple[Files, ...], BeforeValidator(_listed), Field(min_length=1)]
"""The files of one split: one corpus or a list of them."""


def corpus_name(files: Files) -> str:
    """What a corpus goes by: the folder that its file lies in, or the file where it lies in none."""
    path = PurePosixPath(files.paths[0])
    return path.parent.name or path.name


def read_corpora(corpora: tuple[Files, ...], root: Path) -> list[Pair]:
    """The pairs of several corpora, one corpus after the other; errors as of `read_pairs`."""
    return [pair for files in corpora for pair in read_pairs(files, root)]


def read_pairs(files: Files, root: Path) -> list[Pair]:
    """All pairs of one corpus, stripped of surrounding spaces; paths are relative to `root`.

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
        raise DataError(f"{root / files.paths[0]}: no examples")
    return pairs


def carve(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Training and validation parts of a set without a validation split; equal sources stay on one side."""
    return lines.carve(pairs, key=lambda pair: pair[0])


def _aligned_rows(files: LineAligned, root: Path) -> Iterator[tuple[str, str, str]]:
    paths = root / files.source, root / files.target
    source, target = (list(read_lines(path)) for path in paths)
    if len(source) != len(target):
        raise DataError(f"{paths[0]} has {len(source)} lines, {paths[1]} has {len(target)}: they must be aligned")
    for number, (left, right) in enumerate(zip(source, target, strict=True), 1):
        yield f"{paths[0 if not left.strip() else 1]}:{number}", left, right


def _table_rows(files: Table, root: Path) -> Iterator[tuple[str, str, str]]:
    path = root / files.table
    rows = enumerate(read_lines(path), 1)
    names = next(rows, (0, ""))[1].split("\t") if files.header else []
    source, target = (find_column(column, names, path) for column in (files.source, files.target))
    for number, line in rows:
        cells = line.split("\t")
        if len(cells) <= max(source, target):
            raise DataError(f"{path}:{number}: {len(cells)} columns, column {max(source, target)} is asked for")
        yield f"{path}:{number}", cells[source], cells[target]
