"""Pictures as a model reads them: the same decoding and resizing in training and in serving.

A picture is decoded, turned upright and fitted to the square that the model takes. What a model sees of it, and where,
is its `View`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from contract.headers import Format, Header, ImageError, broken, read_header
from contract.preprocessing import Fit

__all__ = ["VERSION", "Fit", "ImageError", "Pixels", "View", "fit_pixels", "read_image", "read_pixels", "see", "view"]

VERSION = 1
"""Raised whenever the same file gives other pixels: what was computed from pixels is kept under it."""

Pixels = NDArray[np.uint8]

MIN_SIDE = 8
MAX_SIDE = 8_192
MAX_PIXELS: dict[Format, int] = {"JPEG": 40_000_000, "PNG": 20_000_000, "WEBP": 20_000_000, "GIF": 20_000_000}
"""A JPEG is decoded at a fraction of its size, all else in whole; either way it takes less than half a gigabyte."""

_GAP = 3
"""So many times the wanted size, a picture is still sharp enough to be resized well, and a box filter comes before."""
_FAILURES = (ArithmeticError, AssertionError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError)
"""What Pillow's decoders let out where a file is not what it says."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what turns the picture upright."""


@dataclass(frozen=True)
class View:
    """What the model saw: a box (left, top, right, bottom) of an upright picture of `width` × `height` pixels."""

    width: int
    height: int
    box: tuple[int, int, int, int]


def view(width: int, height: int, fit: Fit) -> View:
    """The part of a picture that a fit keeps."""
    if fit == "squeeze":
        return View(width, height, (0, 0, width, height))
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return View(width, height, (left, top, left + side, top + side))


def read_image(content: bytes, at_least: int | None = None) -> Image.Image:
    """A picture, upright, in RGB; what is transparent shows white.

    Args:
        content: a JPEG, PNG, WebP or GIF file; of an animation the first frame.
        at_least: the picture may be reduced, by a whole number, with no side below this many pixels (or its own).

    Raises:
        ImageError: it is none of these, broken, too small or too large.
    """
    header = read_header(content)
    return _upright(_decode(header, at_least)[0], header)


def fit_pixels(image: Image.Image, size: int, fit: Fit) -> Pixels:
    """An upright picture as the model reads it: `[size, size, 3]`, RGB."""
    return np.asarray(_fit(image, *image.size, size, fit))


def read_pixels(content: bytes, size: int, fit: Fit) -> Pixels:
    """A picture file as the model reads it: `[size, size, 3]`, RGB.

    Raises:
        ImageError: as for `read_image`.
    """
    return see(content, size, fit)[0]


def see(content: bytes, size: int, fit: Fit) -> tuple[Pixels, View]:
    """A picture file as the model reads it, `[size, size, 3]`, RGB; and what that shows of the upright picture.

    Raises:
        ImageError: as for `read_image`.
    """
    header = read_header(content)
    image, reduced = _decode(header, at_least=size)
    # The last pixel of a reduced row may stand for fewer than the others.
    square = _fit(image, header.width / reduced, header.height / reduced, size, fit)
    width, height = (header.width, header.height) if header.orientation < 5 else (header.height, header.width)
    return np.asarray(_upright(square, header)), view(width, height, fit)


def _decode(header: Header, at_least: int | None) -> tuple[Image.Image, float]:
    """As `read_image`, but as it is stored; and how many of its pixels a side one stands for.

    Whatever costs a copy is done after the picture has been reduced.
    """
    _check_size(header)
    try:
        with Image.open(io.BytesIO(header.content), formats=(header.format,)) as image:
            drafted = None if at_least is None else image.draft("RGB", (at_least, at_least))
            scale = 1 if drafted is None else header.width / drafted[1][2]
            factor = 1 if at_least is None else max(1, min(image.size) // (at_least * _GAP))
            image.load()
            return _flatten(_reduce(_plain(image), factor)), scale * factor
    except _FAILURES as error:
        raise broken(str(error) or "it cannot be decoded") from None


def _fit(image: Image.Image, width: float, height: float, size: int, fit: Fit) -> Image.Image:
    """The part of a picture that a fit keeps, in a square; the picture fills `width` × `height` of the image."""
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (0, 0, width, height) if fit == "squeeze" else (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=_GAP)


def _upright(image: Image.Image, header: Header) -> Image.Image:
    turn = _TURNS.get(header.orientation)
    return image if turn is None else image.transpose(turn)


def _plain(image: Image.Image) -> Image.Image:
    """The same picture in a mode whose pixels may be averaged: no palette, no colour that means transparent."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "CMYK" and "adobe" not in image.info:
        # Adobe stores inks inverted, which Pillow takes every file to do.
        return ImageChops.invert(image)
    if image.mode in ("1", "P") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _reduce(image: Image.Image, factor: int) -> Image.Image:
    return image.reduce(factor) if factor > 1 else image


def _flatten(image: Image.Image) -> Image.Image:
    """A picture of any plain mode in RGB, on white."""
    if image.mode not in ("RGBA", "LA"):
        return image if image.mode == "RGB" else image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _check_size(header: Header) -> None:
    width, height, most = header.width, header.height, MAX_PIXELS[header.format]
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"the picture has {width} × {height} pixels; send one of at least {MIN_SIDE} × {MIN_SIDE}")
    if max(width, height) > MAX_SIDE or width * height > most:
        limits = f"{MAX_SIDE:,} pixels a side and {most // 1_000_000} million in all"
        raise ImageError(f"the picture has {width} × {height} pixels, the limits are {limits}: send a smaller one")
