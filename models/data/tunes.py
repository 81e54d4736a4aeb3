"""Tunes in ABC notation, plain or gzipped, an empty line between them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from contract.tunes import Tune
from models.data.lines import DataError, read_lines


def read_tunes(path: Path) -> list[Tune]:
    """All tunes of a file; what a tune leaves out of its fields is said.

    Raises:
        DataError: a missing file, text that is not UTF-8, a tune that is broken or has no music, or no tune at all.
    """
    tunes: list[Tune] = []
    for blank, group in groupby(enumerate(read_lines(path), 1), key=lambda line: not line[1].strip()):
        if not blank:
            numbers, lines = zip(*group, strict=True)
            tunes.append(_read(lines, f"{path}:{numbers[0]}"))
    if not tunes:
        raise DataError(f"{path}: no tunes")
    return tunes


def _read(lines: tuple[str, ...], place: str) -> Tune:
    try:
        tune = Tune.parse("\n".join(lines)).defaulted()
    except ValueError as error:
        raise DataError(f"{place}: {error}") from error
    if not tune.music:
        raise DataError(f"{place}: a tune without music")
    return tune
