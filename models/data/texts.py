"""Unlabelled text: files of one text a line, or a column of a table; plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from contract.signature import Frozen
from contract.text import InputCodec
from models.data.lines import DataError, find_column, read_lines
from models.data.masking import SPECIAL, Piece


class TextFile(Frozen):
    """A file of texts. Without `text` each line is one; with it, each row of a tab-separated table holds one there."""

    file: str
    text: str | int | None = None
    header: bool = Field(default=True, description="whether a table's first line names its columns")


def read_texts(source: TextFile, root: Path, line_break: str | None = None) -> list[str]:
    """All texts of a file, stripped of surrounding spaces; empty ones are left out.

    Args:
        source: the file, relative to `root`.
        root: the data folder.
        line_break: markup that stands for a line break in the texts, such as `<br />`; it is read as one.

    Raises:
        DataError: a missing file, text that is not UTF-8, a missing column, or no text at all.
    """
    path = root / source.file
    lines = read_lines(path)
    if source.text is not None:
        lines = _column(source, path)
    texts = (line.replace(line_break, "\n").strip() if line_break else line.strip() for line in lines)
    if not (found := [text for text in texts if text]):
        raise DataError(f"{path}: no texts")
    return found


def cut_pieces(texts: list[str], codec: InputCodec, max_length: int) -> list[Piece]:
    """The texts as pieces of at most `max_length` tokens, each closed by the codec's special tokens."""
    found: list[Piece] = []
    for encoding in codec.tokenizer.encode_batch(texts):
        special = np.array(encoding.special_tokens_mask, bool)
        ids = np.array(encoding.ids, np.int64)
        words = np.array([SPECIAL if word is None else word for word in encoding.word_ids], np.int64)
        inside = np.flatnonzero(~special)
        if not len(inside):
            continue
        before, behind = ids[: inside[0]], ids[inside[-1] + 1 :]
        room = max_length - len(before) - len(behind)
        for start in range(0, len(inside), room):
            part = inside[start : start + room]
            edges = (len(before), len(behind))
            found.append(
                Piece(
                    np.concatenate([before, ids[part], behind]),
                    np.pad(words[part], edges, constant_values=SPECIAL),
                )
            )
    return found


def _column(source: TextFile, path: Path) -> Iterator[str]:
    rows = ((number, line.split("\t")) for number, line in enumerate(read_lines(path), 1))
    names = next(rows, (0, []))[1] if source.header else []
    assert source.text is not None
    column = find_column(source.text, names, path)
    for number, cells in rows:
        if len(cells) <= column:
            raise DataError(f"{path}:{number}: {len(cells)} columns, column {column} is asked for")
        yield cells[column]
