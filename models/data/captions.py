"""Pictures with captions: a table of captions, and the pictures that it names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from contract.images import Fit, Pixels
from contract.signature import Frozen
from models.data.lines import DataError, EmptySplitError, find_column, read_lines
from models.data.pictures import PictureFile, find_pictures

APOSTROPHES = re.compile("['`\u2019\u00b4]")
NO_WORD = re.compile(r"[\W_]+")


class SplitNames(Frozen):
    """What a table calls the splits of a run; None: it has no such split."""

    train: str | None = "train"
    validation: str | None = "dev"
    test: str | None = "test"


class CaptionTable(Frozen):
    """A tab-separated table with a caption in each row; columns by the names in its first line.

    `unused` are values of the split column that no split of a run uses. A table without such a column has `split` null:
    all its captions are for training.
    """

    table: str
    image: str = "image"
    split: str | None = "split"
    caption: str = "caption"
    splits: SplitNames = SplitNames()
    unused: tuple[str, ...] = ()

    @property
    def named(self) -> SplitNames:
        """The splits that the table tells apart."""
        return SplitNames(train=None, validation=None, test=None) if self.split is None else self.splits


@dataclass(frozen=True)
class Picture:
    """A picture and what people said about it, as captions are learnt and scored."""

    name: str
    file: PictureFile
    captions: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.file.read()

    def pixels(self, size: int, fit: Fit, random: np.random.Generator | None = None) -> Pixels:
        """The picture as a model reads it, `[size, size, 3]`: as it is, or with `random` a variant of it.

        Raises:
            DataError: the file is no picture that can be read.
        """
        return self.file.pixels(size, fit, random)


def normalise_caption(text: str) -> str:
    """A caption as the field scores it: lower-cased words and digits with single spaces between them.

    Apostrophes vanish (`man's` becomes `mans`), other punctuation parts words (`t-shirt` becomes `t shirt`).
    """
    composed = unicodedata.normalize("NFC", text).lower()
    return NO_WORD.sub(" ", APOSTROPHES.sub("", composed)).strip()


def read_captions(table: CaptionTable, places: tuple[str, ...], root: Path, split: str | None = None) -> list[Picture]:
    """The pictures of a split with their captions, in the order in which the table first names them.

    Args:
        table: the captions.
        places: folders and tar shards of pictures; those without captions are left out.
        root: the data folder.
        split: a value of the split column; None takes all there is.

    Raises:
        DataError: a file is missing, a line is broken, its split is not known, its caption has no words or its picture
            is missing.
        EmptySplitError: the split has no caption at all.
    """
    captions: dict[str, list[str]] = {}
    lines: dict[str, str] = {}
    for line, name, of_split, caption in _rows(table, root):
        if split is None or of_split == split:
            captions.setdefault(name, []).append(caption)
            lines.setdefault(name, line)
    if not captions:
        raise EmptySplitError(f"{root / table.table}: no caption" + ("" if split is None else f" of split {split!r}"))
    files = find_pictures(places, root)
    for name in captions:
        if name not in files:
            raise DataError(f"{lines[name]}: no picture {name!r} in {', '.join(places)}; add it to data.images")
    return [Picture(name, files[name], tuple(found)) for name, found in captions.items()]


def read_pixels(
    pictures: Sequence[Picture], randoms: Sequence[np.random.Generator | None], size: int, fit: Fit
) -> Tensor:
    """Pictures as a model reads them, `[pictures, size, size, 3]`, each with its own source of variation or none.

    Raises:
        DataError: a picture cannot be read.
    """
    read = (picture.pixels(size, fit, random) for picture, random in zip(pictures, randoms, strict=True))
    return torch.from_numpy(np.stack(list(read)))


def _rows(table: CaptionTable, root: Path) -> Iterator[tuple[str, str, str | None, str]]:
    """Place, picture, split and caption of each line."""
    path = root / table.table
    known = [name for name in (table.named.train, table.named.validation, table.named.test, *table.unused) if name]
    rows = enumerate(read_lines(path), 1)
    names = next(rows, (0, ""))[1].split("\t")
    image, caption = (find_column(column, names, path) for column in (table.image, table.caption))
    split_column = None if table.split is None else find_column(table.split, names, path)
    for number, row in rows:
        cells, place = row.split("\t"), f"{path}:{number}"
        if len(cells) != len(names):
            raise DataError(f"{place}: {len(cells)} columns, the first line names {len(names)}")
        split = None if split_column is None else cells[split_column]
        if split is not None and split not in known:
            fix = "correct it, or name it in data.captions.splits or data.captions.unused"
            raise DataError(f"{place}: split {split!r} is none of {', '.join(known)}; {fix}")
        if not (words := normalise_caption(cells[caption])):
            raise DataError(f"{place}: the caption {cells[caption]!r} has no words; write some or leave the line out")
        yield place, cells[image], split, words
