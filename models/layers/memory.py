"""Sentences as vectors, the time they were said, and a look at them (Sukhbaatar et al. 2015, sections 2 and 4.1)."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.exportable import length_mask

SentenceEncoding = Literal["position", "bag"]
"""How words make up a sentence: weighed by their places, or all alike."""

INITIAL_SCALE = 0.1
UNREAD = 2
"""Ids 0 and 1, padding and the unknown word, say nothing: their vectors are zeros."""


def place_weights(counts: Tensor, words: int, longest: int) -> Tensor:
    """What position encoding weighs words by: `counts [n]` → `[n, 2, words]`, 0 past the count.

    Element k of d of word j counts l_kj = (1 - j/J) - (k/d)(1 - 2j/J) (section 4.1). J is the longest sentence that can
    be read and the weight is doubled, so that it is 1 on average, as in the authors' code; the paper's J is the length
    of the sentence at hand, by which a word would count otherwise where more words follow. The weight is linear in k:
    of the two sums that these weights give, element k takes the first less k/d of the second.
    """
    place = torch.arange(1, words + 1, device=counts.device) / longest
    weights = torch.stack([2 - 2 * place, 2 - 4 * place])
    return weights * length_mask(counts, words)[:, None]


class SentenceEncoder(nn.Module):
    """Sentences as sums of their words' vectors, one for each of several tables of words.

    The tables lie side by side, so that a sentence is looked up once for all of them.

    Args:
        vocabulary_size: number of word ids.
        size: of a vector.
        tables: number of tables.
        encoding: how words are weighed.
        longest: most words of a sentence.
    """

    def __init__(self, vocabulary_size: int, size: int, tables: int, encoding: SentenceEncoding, longest: int) -> None:
        super().__init__()
        self.size, self.tables, self.encoding, self.longest = size, tables, encoding, longest
        self.weight = nn.Parameter(torch.empty(vocabulary_size, tables * size))
        nn.init.normal_(self.weight, std=INITIAL_SCALE)
        with torch.no_grad():
            self.weight[:UNREAD] = 0

    def table(self, index: int, ids: slice) -> Tensor:
        """Vectors of some ids in one table, `[ids, size]`."""
        return self.weight[ids, index * self.size : (index + 1) * self.size]

    def forward(self, ids: Tensor, counts: Tensor) -> Tensor:
        """`ids [n, words]`, of which `counts [n]` are real → `[n, tables · size]`; zeros for a sentence of no words."""
        words, size = F.embedding(ids, self.weight), ids.shape[1]
        if self.encoding == "bag":
            return (length_mask(counts, size)[:, None].to(words.dtype) @ words).squeeze(1)
        whole, part = (place_weights(counts, size, self.longest) @ words).unbind(dim=1)
        element = torch.arange(1, self.size + 1, device=ids.device) / self.size
        return whole - element.repeat(self.tables) * part


def sentence_ages(counts: Tensor, sentences: int, noise: float = 0.0) -> Tensor:
    """How long ago each sentence was told, the last one 0: `counts [rows]` → `[rows, sentences]`.

    With `noise`, up to so many empty memories for each sentence stand between them at random, so that no age is learnt
    by heart (section 4.1, "learning time invariance by injecting random noise"). What stands past a row's count means
    nothing.
    """
    place = torch.arange(sentences, device=counts.device)
    age = (counts[:, None] - 1 - place).clamp(min=0)
    if noise == 0:
        return age
    most = sentences + math.ceil(noise * sentences)
    empty = (torch.rand(len(counts), device=counts.device) * ((noise * counts).ceil() + 1)).long()
    draws = torch.rand(len(counts), most, device=counts.device).masked_fill(~length_mask(counts + empty, most), 2)
    chosen = draws.argsort(dim=1)[:, :sentences].masked_fill(~length_mask(counts, sentences), most)
    return chosen.sort(dim=1).values.gather(1, age)


def look(
    state: Tensor, keys: Tensor, values: Tensor, counts: Tensor, empty: Tensor, *, linear: bool
) -> tuple[Tensor, Tensor]:
    """One look at the memories (equations 1 and 2).

    Empty memories take part in the softmax, with a score of 0, so that a look may find nothing: without them a network
    must read something even where no sentence matters. The paper does not speak of them; the authors' code has them.

    Args:
        state: `[rows, size]`, what is asked.
        keys: `[rows, sentences, size]`, what it is compared with.
        values: `[rows, sentences, size]`, what is read.
        counts: `[rows]`, real sentences.
        empty: `[rows]`, memories beside them that hold nothing.
        linear: whether scores are weights as they are, without the softmax.

    Returns:
        What was read `[rows, size]`, and the weights `[rows, sentences]`, 0 past a row's count; what is missing to 1
        fell on empty memories.
    """
    real = length_mask(counts, keys.shape[1])
    scores = (keys @ state.unsqueeze(2)).squeeze(2)
    if linear:
        weights = scores * real
    else:
        scores = scores.masked_fill(~real, float("-inf"))
        nothing = empty.to(scores.dtype).log().unsqueeze(1)
        weights = torch.cat([scores, nothing], dim=1).softmax(dim=1)[:, :-1]
    return (weights.unsqueeze(1) @ values).squeeze(1), weights
