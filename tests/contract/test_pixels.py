"""Pictures as tokens and back."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.pixels import BOS_ID, LEVELS, pixel_tokens, token_pixels

PICTURE = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [250, 251, 252]]], np.uint8)


def test_tokens_go_row_by_row_and_channel_by_channel() -> None:
    assert pixel_tokens(PICTURE) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252]
    assert pixel_tokens(PICTURE[:1]) == [1, 2, 3, 4, 5, 6]


@given(st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_picture_comes_back(height: int, width: int, random: Random) -> None:
    ids = [random.randint(0, LEVELS - 1) for _ in range(height * width * 3)]
    pixels = token_pixels(ids, width)
    assert pixels.shape == (height, width, 3)
    assert pixel_tokens(pixels) == ids


def test_no_intensity_is_the_start() -> None:
    assert BOS_ID == LEVELS
    with pytest.raises(OverflowError):
        token_pixels([BOS_ID, 0, 0], 1)


def test_tokens_that_end_within_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        token_pixels([1, 2, 3], 2)
