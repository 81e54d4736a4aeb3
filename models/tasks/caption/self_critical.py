"""Learning from how good whole captions are (Rennie et al. 2017, "Self-critical Sequence Training").

Cross-entropy teaches the next word of somebody else's caption. Here the model draws captions of its own, and those that
score better than its others of the same picture become more probable: the mean of the others is what each is held
against, as in Luo 2020, "A Better Variant of Self-Critical Sequence Training", so that nothing is decoded twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor

from models.tasks.caption.scores import ORDERS

_COUNTER = BLEU(tokenize="none", smooth_method="none")


def rewards(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Tensor:
    """The mean of the BLEU-1 to -4 of each caption alone, `[captions]` between 0 and 1.

    Longer n-grams count one match more than there are (Lin and Och 2004), since most captions have none of the longest.

    Args:
        captions: normalised, as they are scored.
        references: those of its picture, for each caption.
    """
    return torch.tensor([_reward(caption, known) for caption, known in zip(captions, references, strict=True)])


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


def _reward(caption: str, references: Sequence[str]) -> float:
    found = _COUNTER.corpus_score([caption], [[reference] for reference in references])
    scores = (
        BLEU.compute_bleu(
            # It smooths what it is given in place.
            list(found.counts),
            list(found.totals),
            found.sys_len,
            found.ref_len,
            smooth_method="add-k",
            smooth_value=1,
            effective_order=True,
            max_ngram_order=order,
        ).score
        for order in ORDERS
    )
    return sum(scores) / len(ORDERS) / 100
