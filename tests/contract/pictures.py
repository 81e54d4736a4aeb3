"""Pictures that tests draw, and the files they are kept in."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 96, 64
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def draw(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A smooth picture: red rises from left to right, green from top to bottom, blue stands in the middle."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    blue = np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) * 8)
    return Image.fromarray((np.stack([x, y, blue], axis=-1) * 255).astype(np.uint8))


def save(image: Image.Image, form: str, **options: Any) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def fitted(image: Image.Image, size: int) -> NDArray[np.float64]:
    """A whole picture in a square, as Pillow makes it at one go."""
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC), np.float64)


def difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Mean absolute difference, of 255."""
    return float(np.abs(one.astype(np.float64) - other).mean())


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 1, colour: int = 0) -> bytes:
    """A PNG file of these chunks after its header, whatever they are worth."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def black(width: int, height: int) -> tuple[bytes, bytes]:
    """The data of a black picture, one bit a pixel: a few thousand bytes, however large it is."""
    return b"IDAT", zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)


def gif(width: int, height: int, own: tuple[int, int, int, int], *, disposal: int = 0) -> bytes:
    """A GIF file with a screen of a size, whose one picture says to stand at left, top with a width, height."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    control = b"\x21\xf9\x04" + bytes([disposal << 2, 0, 0, 0, 0])
    return head + control + b"," + struct.pack("<HHHHB", *own, 0) + b"\x02\x02\x44\x01\x00;"


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data
