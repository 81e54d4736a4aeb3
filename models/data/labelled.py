"""Labelled text: one table of texts and labels for each split, plain or gzipped."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from contract.signature import Frozen
from models.data import lines
from models.data.lines import DataError, find_column, read_lines


class Labelled(NamedTuple):
    """A text and its label."""

    text: str
    label: str


class LabelledTable(Frozen):
    """A table with a text and a label in each row; columns by name (the first line is a header) or by 0-based index.

    A file whose name ends in `.csv` or `.csv.gz` is comma-separated and may be quoted; any other is tab-separated,
    without quoting.
    """

    table: str
    text: str | int = "text"
    label: str | int = "label"
    header: bool = Field(default=True, description="whether the first line names the columns")


def read_labelled(
    table: LabelledTable, root: Path, names: Mapping[str, str], line_break: str | None = None
) -> list[Labelled]:
    """All rows of a table, stripped of surrounding spaces.

    Args:
        table: the file, relative to `root`, and its columns.
        root: the data folder.
        names: label in the file → name of the label; empty: labels are their own names.
        line_break: markup that stands for a line break in the texts, such as `<br />`; it is read as one.

    Raises:
        DataError: a missing file, text that is not UTF-8, a missing column, an empty text, or a label not in `names`.
    """
    path = root / table.table
    found = []
    for place, written, mark in _cells(table, path):
        text = (written.replace(line_break, "\n") if line_break else written).strip()
        label = mark.strip()
        if not text or not label:
            raise DataError(f"{place}: the {'label' if text else 'text'} is empty")
        if names and label not in names:
            raise DataError(f"{place}: label {label!r} is not one of {', '.join(names)}")
        found.append(Labelled(text, names.get(label, label)))
    if not found:
        raise DataError(f"{path}: no examples")
    return found


def comparable(text: str) -> str:
    """What is left of a text when spacing, punctuation and case do not count."""
    return "".join(filter(str.isalnum, text.casefold()))


def carve(examples: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Training and validation parts of a set without a validation split; comparable texts stay on one side."""
    return lines.carve(examples, key=lambda example: comparable(example.text))


def without(examples: Iterable[Labelled], others: Iterable[Labelled]) -> list[Labelled]:
    """Examples whose text is not comparable to any of the others'."""
    known = {comparable(other.text) for other in others}
    return [example for example in examples if comparable(example.text) not in known]


def without_parts(
    phrases: Iterable[Labelled], held_out: Iterable[Labelled], kept: Iterable[Labelled]
) -> list[Labelled]:
    """Phrases but those that occur in a held-out text and in no kept one: their labels would tell what to hold back."""
    outside, inside = ("\n".join(comparable(example.text) for example in part) for part in (held_out, kept))
    return [
        phrase for phrase in phrases if (text := comparable(phrase.text)) not in outside or (text and text in inside)
    ]


def _cells(table: LabelledTable, path: Path) -> Iterator[tuple[str, str, str]]:
    rows = _comma_separated(path) if path.name.endswith((".csv", ".csv.gz")) else _tab_separated(path)
    names = next(rows, (0, []))[1] if table.header else []
    text, label = (find_column(column, names, path) for column in (table.text, table.label))
    for number, cells in rows:
        if len(cells) <= max(text, label):
            raise DataError(f"{path}:{number}: {len(cells)} columns, column {max(text, label)} is asked for")
        yield f"{path}:{number}", cells[text], cells[label]


def _tab_separated(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in enumerate(read_lines(path), 1))


def _comma_separated(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their first line; a quoted cell may go over several lines."""
    reader = csv.reader((line + "\n" for line in read_lines(path)), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{number}: not a row of comma-separated cells ({error})") from error
