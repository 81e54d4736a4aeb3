"""Pictures to send: those of a folder, or made-up ones that are as hard to decode and to compress as photographs."""

from __future__ import annotations

import io
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 640, 480
_QUALITY = 88
_OCTAVES, _FALL = 9, 1.4
"""Grids of 2 to 512 cells; each is so many times weaker than the coarser one before it."""
_MEAN, _DEVIATION = 118, 60
"""Brightness of the pixels, of 255."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")


class NoPicturesError(ValueError):
    """A folder without pictures; the message says which, and what it should hold."""


def load_pictures(count: int, folder: Path | None = None) -> list[bytes]:
    """So many picture files: those of a folder by name, over and over, or made-up photographs, all different.

    Raises:
        NoPicturesError: the folder holds none.
    """
    if folder is None:
        return [make_photograph(seed) for seed in range(count)]
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise NoPicturesError(f"{folder} holds no pictures: it should have files that end in {', '.join(_SUFFIXES)}")
    contents = [path.read_bytes() for path in paths[:count]]
    return [contents[index % len(contents)] for index in range(count)]


def make_photograph(seed: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A JPEG file of noise whose strength falls with its frequency, as that of photographs does (Field 1987)."""
    random = np.random.default_rng(seed)
    layers = [_layer(random, 2**octave, width, height) / _FALL**octave for octave in range(1, _OCTAVES + 1)]
    scene = reduce(np.add, layers)
    bright = (scene - scene.mean()) / scene.std() * _DEVIATION + _MEAN
    file = io.BytesIO()
    Image.fromarray(bright.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def multipart(field: str, pictures: list[bytes], **options: object) -> tuple[str, bytes]:
    """Content type and body of a form that uploads pictures under one name."""
    boundary = "seqserve-pictures"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{{}}"'
    parts = [f"{head.format(name)}\r\n\r\n{value}\r\n".encode() for name, value in options.items()]
    for picture in pictures:
        file = f'{head.format(field)}; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        parts.append(file.encode() + picture + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _layer(random: np.random.Generator, cells: int, width: int, height: int) -> NDArray[np.float32]:
    """Colours on a grid of so many cells a side, smooth between its points: `[height, width, 3]`."""
    colours = random.random((cells, cells, 3), dtype=np.float32)
    channels = [
        Image.fromarray(colours[..., channel]).resize((width, height), Image.Resampling.BICUBIC) for channel in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)
