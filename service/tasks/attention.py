"""What the model looked at, in terms of the text that was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.text import Encoding

_DECIMALS = 6


@dataclass(frozen=True)
class SourceToken:
    """A token of the source: the text it stands for and where that is, in characters of the text that was sent."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class AttentionMap:
    """Weights `[targets, sources]`: row t is what the model looked at when it chose token t, the end token last.

    Sentences are translated one by one, so a paragraph's map has a block for each sentence and zeros elsewhere.
    """

    axes: tuple[str, ...]
    sources: list[SourceToken]
    targets: list[str]
    weights: list[list[float]]


@dataclass(frozen=True)
class SentenceAttention:
    """One sentence's part: its source tokens, its target tokens and `weights [targets, sources]`."""

    sources: list[SourceToken]
    targets: list[str]
    weights: NDArray[np.float32]


def source_tokens(text: str, encoding: Encoding, offset: int = 0) -> list[SourceToken]:
    """The tokens of a text that starts at character `offset` of the text that was sent.

    Spaces around a word are left out. Of tokens that share a character (a word's start mark and its first letter), the
    last one has it. A token that stands for no text (a special one) is shown by its name, after the token before it.
    """
    tokens: list[SourceToken] = []
    limits = _next_starts(encoding.offsets, len(text))
    reached = 0
    for token, (start, end), limit in zip(encoding.tokens, encoding.offsets, limits, strict=True):
        if start == end:
            place = offset + max(start, reached)
            tokens.append(SourceToken(token, place, place))
            continue
        reached = end
        covered = text[start : min(end, limit)]
        word = covered.strip()
        first = offset + start + len(covered) - len(covered.lstrip())
        tokens.append(SourceToken(word, first, first + len(word)))
    return tokens


def _next_starts(offsets: list[tuple[int, int]], end: int) -> list[int]:
    """For each token, where the next one starts that stands for text; `end` after the last."""
    starts = []
    for first, last in reversed(offsets):
        starts.append(end)
        if first < last:
            end = first
    return starts[::-1]


def attention_map(axes: tuple[str, ...], sentences: list[SentenceAttention]) -> AttentionMap:
    """One map over all sentences."""
    sources = [token for sentence in sentences for token in sentence.sources]
    targets = [token for sentence in sentences for token in sentence.targets]
    weights = np.zeros((len(targets), len(sources)))
    row = column = 0
    for sentence in sentences:
        height, width = len(sentence.targets), len(sentence.sources)
        weights[row : row + height, column : column + width] = sentence.weights[:height, :width]
        row, column = row + height, column + width
    return AttentionMap(axes, sources, targets, as_lists(weights))


def as_lists(weights: NDArray[np.floating]) -> Any:
    """Weights as nested lists, rounded: what is less is nothing to look at."""
    return np.round(weights.astype(np.float64), _DECIMALS).tolist()
