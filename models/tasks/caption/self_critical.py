"""Learning from how good whole captions are (Rennie et al. 2017, "Self-critical Sequence Training").

Cross-entropy teaches the next word of somebody else's caption. Here the model draws captions of its own, and those that
score better than its others of the same picture become more probable: the mean of the others is what each is held
against, as in Luo 2020, "A Better Variant of Self-Critical Sequence Training", so that nothing is decoded twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_LONGEST = 4
_DEVIATION = 6.0
"""Of the Gaussian by which a caption of another length counts less, in words."""
_END = "</s>"

Gram = tuple[str, ...]


class Consensus:
    """CIDEr-D (Vedantam et al. 2015): how much of a caption people agree on, rare words counting more.

    A caption's end counts as a word, or captions learn to break off. What BLEU rewards can be had by `a man in a` as
    well, so a model that learns from it forgets how sentences go.

    Args:
        references: the captions of every picture that is learnt from, by which it is known how rare an n-gram is.
    """

    def __init__(self, references: Iterable[Sequence[str]]) -> None:
        pictures = [{gram for caption in known for gram in _grams(caption)} for known in references]
        self._rarest = math.log(max(len(pictures), 2))
        self._pictures = Counter(gram for grams in pictures for gram in grams)

    def __call__(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> Tensor:
        """The score of each caption, `[captions]` from 0 to 10.

        Args:
            captions: normalised, as they are scored.
            references: those of its picture, for each caption.
        """
        # The captions that were drawn of one picture share its references.
        weighed = {known: self._weigh(known) for of_one in references for known in of_one}
        return torch.tensor(
            [
                self._score(self._weigh(caption), [weighed[known] for known in of_one])
                for caption, of_one in zip(captions, references, strict=True)
            ]
        )

    def _score(self, ours: Weighed, references: Sequence[Weighed]) -> float:
        return 10 * sum(self._agreement(ours, theirs) for theirs in references) / len(references)

    def _weigh(self, caption: str) -> Weighed:
        weights = {
            gram: n * (self._rarest - math.log(max(1, self._pictures[gram]))) for gram, n in _grams(caption).items()
        }
        squares = [0.0] * _LONGEST
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight * weight
        return Weighed(weights, [math.sqrt(square) for square in squares], len(caption.split()))

    def _agreement(self, ours: Weighed, theirs: Weighed) -> float:
        products = [0.0] * _LONGEST
        for gram, weight in ours.weights.items():
            if (known := theirs.weights.get(gram)) is not None:
                products[len(gram) - 1] += min(weight, known) * known
        norms = (one * other for one, other in zip(ours.norms, theirs.norms, strict=True))
        cosines = (product / norm if norm else 0.0 for product, norm in zip(products, norms, strict=True))
        return sum(cosines) / _LONGEST * math.exp(-((ours.length - theirs.length) ** 2) / (2 * _DEVIATION**2))


class Weighed(NamedTuple):
    """A caption: the weight of each of its n-grams, the norm of those of each order, and its length in words."""

    weights: dict[Gram, float]
    norms: list[float]
    length: int


def advantages(rewards: Tensor) -> Tensor:
    """How much better each caption is than the mean of the others of its picture; both `[pictures, captions ≥ 2]`."""
    others = rewards.shape[1] - 1
    return rewards - (rewards.sum(dim=1, keepdim=True) - rewards) / others


def policy_loss(logits: Tensor, labels: Tensor, advantages: Tensor, *, pad: int) -> Tensor:
    """A loss whose gradient makes good captions more probable (equation 7), a mean over tokens.

    Args:
        logits: `[rows, target, vocabulary]`.
        labels: `[rows, target]`, the captions that were drawn, closed by EOS.
        advantages: `[rows]`.
        pad: label of what is no token.
    """
    losses = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=pad, reduction="none")
    return (losses.view_as(labels) * advantages.unsqueeze(1)).sum() / labels.ne(pad).sum()


def _grams(caption: str) -> Counter[Gram]:
    words = [*caption.split(), _END]
    starts = range(len(words))
    return Counter(tuple(words[i : i + n]) for n in range(1, _LONGEST + 1) for i in starts if i + n <= len(words))
