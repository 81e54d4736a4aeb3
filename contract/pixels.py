"""Pictures as sequences of tokens: rows from the top, pixels from the left, of each its red, green and blue.

A token is an intensity, 0 to 255; BOS stands before the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contract.images import Pixels
from contract.preprocessing import CHANNELS

LEVELS = 256
"""Intensities of a channel: what a model of pixels chooses from."""

BOS_ID = LEVELS
"""Read at position 0, never chosen."""


def pixel_tokens(pixels: Pixels) -> list[int]:
    """A picture `[height, width, 3]`, or the upper rows of one, as tokens: three a pixel."""
    return [int(level) for level in pixels.ravel()]


def token_pixels(token_ids: Sequence[int], width: int) -> Pixels:
    """The picture `[height, width, 3]` that tokens describe.

    Raises:
        ValueError: they end within a row.
    """
    return np.asarray(token_ids, np.uint8).reshape(-1, width, CHANNELS)
