"""Attention maps of models that read a text and answer once: over its tokens, its sentences, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from contract.signature import Attention
from contract.text import Encoding
from service.runtime.requests import Array
from service.tasks.attention import SourceToken, as_lists, source_tokens

Weights = list[float] | list[list[float]]


@dataclass(frozen=True)
class TextMap:
    """One level of what the model looked at in a text.

    `weights` has the axes that `axes` names, the last of them along `sources`. Where the first is a part of the text
    too (a token that looks at tokens, a sentence at its words), `targets` names its places.
    """

    name: str
    axes: tuple[str, ...]
    sources: list[SourceToken]
    targets: list[str] | None
    weights: Weights


def text_maps(
    declared: Sequence[Attention], outputs: Mapping[str, Array], text: str, encodings: Sequence[Encoding]
) -> list[TextMap]:
    """The maps of one text.

    Args:
        declared: the maps of the model's signature.
        outputs: what the explain graph gave for this text, without the rows axis.
        text: the text that was sent.
        encodings: its tokens as the model read them, sentence by sentence where it reads sentences.
    """
    tokens = [source_tokens(text, encoding) for encoding in encodings]
    flat = [token for sentence in tokens for token in sentence]
    spans = [_span(text, sentence) for sentence in tokens]
    maps = []
    for attention in declared:
        # An axis of constant size counts looks at the whole text.
        axes = tuple(axis if isinstance(axis, str) else "hops" for axis in attention.axes)
        weights = outputs[attention.name]
        sources, targets = flat, None
        if axes == ("sentences", "words"):
            weights, targets = _blocks(weights, [len(sentence) for sentence in tokens]), [span.text for span in spans]
        elif axes == ("sentences",):
            sources = spans
        elif axes[0] == "target":
            targets = [token.text for token in flat]
        maps.append(TextMap(attention.name, axes, sources, targets, as_lists(weights)))
    return maps


def _span(text: str, tokens: list[SourceToken]) -> SourceToken:
    """A sentence as one token."""
    start, end = tokens[0].start, tokens[-1].end
    return SourceToken(text[start:end], start, end)


def _blocks(weights: Array, counts: list[int]) -> Array:
    """`[sentences, words]` → `[sentences, words of all sentences]`, zero outside a sentence's own words."""
    blocks = np.zeros((len(counts), sum(counts)), dtype=weights.dtype)
    first = 0
    for row, (own, count) in enumerate(zip(weights, counts, strict=True)):
        blocks[row, first : first + count] = own[:count]
        first += count
    return blocks
