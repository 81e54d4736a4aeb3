"""What the model looked at in a picture, word by word."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.text import TextCodec
from service.tasks.attention import as_lists
from service.tasks.growing import GrowingText

Grid = tuple[int, int]
AXES = ("target", "rows", "columns")


@dataclass(frozen=True)
class RegionMap:
    """Weights `[words, rows, columns]`: what part of each region the model looked at when it wrote each of `targets`.

    The regions divide the part of the picture that the model saw evenly.
    """

    targets: list[str]
    weights: NDArray[np.float32]

    @property
    def lists(self) -> Any:
        """The weights as nested lists, rounded."""
        return as_lists(self.weights)


def region_map(codec: TextCodec, token_ids: list[int], weights: NDArray[np.float32], grid: Grid) -> RegionMap:
    """The map of one caption. Of the tokens that make up a word, the mean is taken.

    Args:
        codec: what spells the tokens.
        token_ids: the caption's, without EOS.
        weights: `[tokens or more, regions]`, the regions row by row.
        grid: rows and columns of regions.
    """
    words = spelt_words(codec, token_ids)
    maps = [weights[first:last].mean(axis=0).reshape(grid) for _, first, last in words]
    return RegionMap([word for word, _, _ in words], np.array(maps, np.float32).reshape(len(words), *grid))


def spelt_words(codec: TextCodec, token_ids: list[int]) -> list[tuple[str, int, int]]:
    """The words that tokens spell, and of each its first token and the one after its last.

    A token that adds a space begins a word. One that adds nothing (half a character, or a special token) belongs to the
    word before it.
    """
    growing = GrowingText(codec)
    pieces = [growing.push([token]) for token in token_ids]
    starts = [place for place, piece in enumerate(pieces) if place == 0 or piece[:1].isspace()]
    bounds = pairwise([*starts, len(pieces)])
    return [("".join(pieces[first:last]).strip(), first, last) for first, last in bounds]
