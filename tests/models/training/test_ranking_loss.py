from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from models.training.ranking_loss import RankingLoss, ranking_loss

TARGETS = [1.2, -0.3]
OTHERS = [[0.5, 1.2, -1.0], [0.1, 0.4, -0.3]]
REAL = [[True, False, True], [True, True, False]]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_hand(kind: RankingLoss, target: float, others: list[float], regularisation: float) -> float:
    """One position, as the papers write it."""
    total = sum(math.exp(r) for r in others)
    shares = [math.exp(r) / total for r in others]
    top1 = [sigmoid(r - target) + sigmoid(r * r) for r in others]
    if kind == "bpr":
        return -sum(math.log(sigmoid(target - r)) for r in others) / len(others)
    if kind == "top1":
        return sum(top1) / len(others)
    if kind == "top1_max":
        return sum(share * value for share, value in zip(shares, top1, strict=True))
    likelihood = sum(share * sigmoid(target - r) for share, r in zip(shares, others, strict=True))
    penalty = sum(share * r * r for share, r in zip(shares, others, strict=True))
    return -math.log(likelihood) + regularisation * penalty


@pytest.mark.parametrize("kind", get_args(RankingLoss))
def test_losses_are_those_of_the_papers_over_the_real_negatives(kind: RankingLoss) -> None:
    found = ranking_loss(kind, torch.tensor(TARGETS), torch.tensor(OTHERS), torch.tensor(REAL), 0.5)
    expected = [
        by_hand(kind, target, [r for r, kept in zip(others, real, strict=True) if kept], 0.5)
        for target, others, real in zip(TARGETS, OTHERS, REAL, strict=True)
    ]
    assert found.item() == pytest.approx(sum(expected) / 2)


@pytest.mark.parametrize("kind", get_args(RankingLoss))
def test_a_better_target_costs_less(kind: RankingLoss) -> None:
    targets = torch.zeros(2, requires_grad=True)
    ranking_loss(kind, targets, torch.tensor(OTHERS), torch.tensor(REAL), 0.5).backward()
    assert targets.grad is not None
    assert (targets.grad < 0).all()
