"""A score and a window together, by their names in a config."""

from __future__ import annotations

from typing import Literal, assert_never

from torch import Tensor, nn

from models.layers.attention.additive import AdditiveScore
from models.layers.attention.concat import ConcatScore
from models.layers.attention.cosine import CosineScore
from models.layers.attention.dot import DotScore
from models.layers.attention.general import GeneralScore
from models.layers.attention.local_m import MonotonicWindow
from models.layers.attention.local_p import PredictiveWindow
from models.layers.attention.location import LocationScore
from models.layers.attention.scaled_dot import ScaledDotScore
from models.layers.attention.score import Score
from models.layers.attention.window import GlobalWindow, Window

ScoreName = Literal["additive", "dot", "scaled_dot", "general", "concat", "location", "cosine"]
WindowName = Literal["global", "local_m", "local_p"]


def build_score(
    name: ScoreName, query_size: int, memory_size: int, attention_size: int, max_source_length: int
) -> Score:
    """The scoring function of that name; each takes what it needs of the sizes."""
    match name:
        case "additive":
            return AdditiveScore(query_size, memory_size, attention_size)
        case "dot":
            return DotScore()
        case "scaled_dot":
            return ScaledDotScore()
        case "general":
            return GeneralScore(query_size, memory_size)
        case "concat":
            return ConcatScore(query_size, memory_size, attention_size)
        case "location":
            return LocationScore(query_size, max_source_length)
        case "cosine":
            return CosineScore(query_size, memory_size)
        case _:
            assert_never(name)


def build_window(name: WindowName, query_size: int, size: int) -> Window:
    """The window of that name; `size` is how far a local window reaches on either side."""
    match name:
        case "global":
            return GlobalWindow()
        case "local_m":
            return MonotonicWindow(size)
        case "local_p":
            return PredictiveWindow(query_size, size)
        case _:
            assert_never(name)


class Attention(nn.Module):
    """Reads a source: scores every position, weighs those of the window, sums the memory."""

    def __init__(self, score: Score, window: Window) -> None:
        super().__init__()
        self.score = score
        self.window = window

    def forward(
        self, query: Tensor, keys: Tensor, memory: Tensor, position: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend from every decoder state.

        Args:
            query: `[rows, target, query]`, the decoder's states.
            keys: `[rows, source, key]`, from `score.keys(memory)`.
            memory: `[rows, source, memory]`.
            position: `[rows or 1, target]`, the states' positions in the target.
            lengths: `[rows]`, real source positions.

        Returns:
            contexts `[rows, target, memory]` and weights `[rows, target, source]`.
        """
        weights: Tensor = self.window(self.score(query, keys), query, position, lengths)
        return weights @ memory, weights
