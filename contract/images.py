"""Pictures as a model reads them: the same decoding and resizing in training and in serving.

A picture is decoded, turned upright and fitted to the square that the model takes. What a model sees of it, and where,
is its `View`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Fit = Literal["squeeze", "crop"]
"""How a picture becomes a square: *squeeze* the whole of it, whatever its proportions, or *crop* its middle."""

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_SIDE = 8_192
MAX_PIXELS = 40_000_000
"""A decoded picture of so many pixels takes 120 MB."""
MIN_SIDE = 8


class ImageError(ValueError):
    """What was sent is no picture that can be read; the message says what to send instead."""


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
    """A picture, upright, in RGB.

    Args:
        content: a JPEG, PNG, WebP or GIF file; of an animation the first frame.
        at_least: a JPEG may be decoded at a fraction of its size, with no side below this many pixels.

    Raises:
        ImageError: it is none of these, broken, too small or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(*image.size)
            if at_least is not None:
                image.draft("RGB", (at_least, at_least))
            upright = ImageOps.exif_transpose(image)
            return upright.convert("RGB")
    except UnidentifiedImageError:
        raise ImageError("not a picture that can be read; send a JPEG, PNG, WebP or GIF file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"the picture is broken ({error}); send the whole file") from None


def fit_pixels(image: Image.Image, size: int, fit: Fit) -> Pixels:
    """A picture as the model reads it: `[size, size, 3]`, RGB."""
    box = view(*image.size, fit).box
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))


def read_pixels(content: bytes, size: int, fit: Fit) -> Pixels:
    """A picture file as the model reads it: `[size, size, 3]`, RGB.

    Raises:
        ImageError: as for `read_image`.
    """
    return fit_pixels(read_image(content, at_least=size), size, fit)


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"the picture has {width} × {height} pixels; send one of at least {MIN_SIDE} × {MIN_SIDE}")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        most = f"{MAX_SIDE:,} pixels a side and {MAX_PIXELS // 1_000_000} million in all"
        raise ImageError(f"the picture has {width} × {height} pixels, the limits are {most}: send a smaller one")
