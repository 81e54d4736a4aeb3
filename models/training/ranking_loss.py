"""Ranking losses of GRU4Rec (Hidasi et al. 2016, section 3.1.3; Hidasi and Karatzoglou 2018, section 3).

Each compares the score of the right item with those of sampled others.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

RankingLoss = Literal["bpr", "top1", "bpr_max", "top1_max"]

SMALLEST = 1e-24


def ranking_loss(kind: RankingLoss, targets: Tensor, others: Tensor, real: Tensor, regularisation: float) -> Tensor:
    """Mean loss over positions.

    The losses that end in max weigh each negative by its softmax among the negatives, so that the gradient does not
    vanish as their number grows.

    Args:
        kind: which of them.
        targets: `[positions]`, scores of the right items.
        others: `[positions, negatives]`, scores of sampled items.
        real: `[positions, negatives]`, False where the sampled item is the right one.
        regularisation: weight of the negatives' squared scores in `bpr_max`.

    Returns:
        A scalar.
    """
    difference = targets.unsqueeze(1) - others
    count = real.sum(dim=1).clamp_min(1)
    if kind == "bpr":
        return -((F.logsigmoid(difference) * real).sum(dim=1) / count).mean()
    top1 = torch.sigmoid(-difference) + torch.sigmoid(others.square())
    if kind == "top1":
        return ((top1 * real).sum(dim=1) / count).mean()
    weights = others.masked_fill(~real, float("-inf")).softmax(dim=1)
    if kind == "top1_max":
        return (weights * top1).sum(dim=1).mean()
    likelihood = (weights * torch.sigmoid(difference)).sum(dim=1)
    penalty = regularisation * (weights * others.square()).sum(dim=1)
    return (penalty - likelihood.clamp_min(SMALLEST).log()).mean()
