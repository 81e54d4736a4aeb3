"""A picture of what the model looked at: the image, and beside it once more for each word, bright where it looked.

As in figures 3 and 6 to 11 of Xu et al. 2015, "Show, Attend and Tell".
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from contract.images import View, read_image
from service.tasks.regions import RegionMap

PANEL = 240
"""Longest side of each picture, in pixels."""
COLUMNS = 5
MOST_WORDS = 60
"""Words beyond are not drawn, so that no sheet is larger than 1,248 × 3,636 pixels."""
_GAP = 8
_LABEL = 32
_LETTERS = 20
_DIM = 0.2
"""Brightness of what the model did not look at."""


def draw_overlay(content: bytes, view: View, attention: RegionMap) -> bytes:
    """A PNG file: the picture, and the picture for each word with the word above it.

    Args:
        content: the picture file that was captioned.
        view: what of it the model saw.
        attention: what it looked at there.

    Raises:
        ImageError: it cannot be read.
    """
    scale = PANEL / max(view.width, view.height)
    size = max(1, round(view.width * scale)), max(1, round(view.height * scale))
    picture = read_image(content, at_least=min(size)).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    left, top, right, bottom = (round(edge * scale) for edge in view.box)
    dim = picture.point(lambda level: level * _DIM)
    panels = [("", picture)]
    for word, weights in zip(attention.targets[:MOST_WORDS], attention.weights, strict=False):
        light = Image.new("L", size)
        light.paste(spread(weights, max(1, right - left), max(1, bottom - top)), (left, top))
        panels.append((word, Image.composite(picture, dim, light)))
    return _sheet(panels)


def spread(weights: NDArray[np.float32], width: int, height: int) -> Image.Image:
    """A map `[rows, columns]` over `width` × `height` pixels, smooth between regions: 0 its least, 255 its most.

    A map that is the same everywhere is 255 everywhere.
    """
    rows, columns = weights.shape
    low, high = float(weights.min()), float(weights.max())
    shares = (weights - low) / (high - low) if high > low else np.ones_like(weights)
    levels = Image.fromarray((shares * 255).astype(np.uint8))
    smooth = levels.resize((width, height), Image.Resampling.BILINEAR)
    smooth = smooth.filter(ImageFilter.GaussianBlur((width / columns / 4, height / rows / 4)))
    highest = max(smooth.getextrema()[1], 1)
    return smooth.point(lambda level: level * 255 / highest)


def _sheet(panels: list[tuple[str, Image.Image]]) -> bytes:
    width, height = panels[0][1].size
    columns, lines = min(COLUMNS, len(panels)), -(-len(panels) // COLUMNS)
    sheet = Image.new("RGB", (_GAP + columns * (width + _GAP), _GAP + lines * (_LABEL + height + _GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (word, panel) in enumerate(panels):
        row, column = divmod(place, COLUMNS)
        x, y = _GAP + column * (width + _GAP), _GAP + row * (_LABEL + height + _GAP)
        sheet.paste(panel, (x, y + _LABEL))
        pen.text((x + width / 2, y + _LABEL / 2), word, "black", _font(word, width), anchor="mm")
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _font(word: str, width: int) -> ImageFont.FreeTypeFont:
    """Letters as large as fit."""
    font = ImageFont.load_default(_LETTERS)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is installed with FreeType"
    length = font.getlength(word)
    return font if length <= width else font.font_variant(size=max(1.0, _LETTERS * width / length))
