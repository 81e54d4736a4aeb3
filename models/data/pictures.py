"""Picture files by name, from folders and tar shards, which are read where they lie."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from contract import images
from contract.images import Fit, ImageError, Pixels
from models.data.lines import DataError

SMALLEST_CROP = 0.8


@dataclass(frozen=True)
class PictureFile:
    """A picture file, or the part of a tar shard that holds one."""

    path: Path
    member: str | None = None
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            DataError: it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise DataError(f"{self}: cannot be read ({error})") from error

    def pixels(self, size: int, fit: Fit, random: np.random.Generator | None = None) -> Pixels:
        """The picture as a model reads it, `[size, size, 3]`: as it is, or with `random` a variant of it.

        Raises:
            DataError: the file is no picture that can be read.
        """
        content = self.read()
        try:
            if random is None:
                return images.read_pixels(content, size, fit)
            return images.fit_pixels(_vary(images.read_image(content), random), size, fit)
        except ImageError as error:
            raise DataError(f"{self}: {error}") from error

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}:{self.member}"


def find_pictures(places: Iterable[str], root: Path) -> dict[str, PictureFile]:
    """The files of folders and uncompressed tar shards, by their names inside them.

    Args:
        places: folders and shards, relative to `root`; a folder is taken with all below it.
        root: the data folder.

    Raises:
        DataError: a place is missing or no shard, or two places hold a file of the same name.
    """
    found: dict[str, PictureFile] = {}
    for place in places:
        path = root / place
        for name, file in _files(path) if path.is_dir() else _members(path):
            if name in found:
                raise DataError(f"{file}: {found[name]} has the same name; leave one of them out")
            found[name] = file
    return found


def _files(folder: Path) -> Iterator[tuple[str, PictureFile]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), PictureFile(path)


def _members(path: Path) -> Iterator[tuple[str, PictureFile]]:
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if member.isfile():
                    name = member.name.removeprefix("./")
                    yield name, PictureFile(path, name, member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: neither a folder nor an uncompressed tar shard of pictures ({error})") from error


def _vary(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A part of at least `SMALLEST_CROP` of each side, mirrored half of the time."""
    width, height = (round(side * random.uniform(SMALLEST_CROP, 1)) for side in image.size)
    left, top = random.integers(0, [image.width - width, image.height - height], endpoint=True).tolist()
    part = image.crop((left, top, left + width, top + height))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else part
