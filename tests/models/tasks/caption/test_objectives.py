from __future__ import annotations

import math

import pytest
import torch

from models.tasks.caption.objectives import Reinforce, attend_everywhere


def test_attention_that_sums_to_one_everywhere_costs_nothing() -> None:
    weights = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]]])
    real = torch.tensor([[True, True, False]])
    assert attend_everywhere(weights, real).item() == 0
    assert attend_everywhere(weights, torch.tensor([[True, False, False]])).item() == pytest.approx(0.5)
    all_of_it = attend_everywhere(weights, torch.ones(1, 3, dtype=torch.bool))
    assert all_of_it.item() == pytest.approx((0.3**2 + 0.7**2) / 2)


def reinforce(**weights: float) -> Reinforce:
    return Reinforce(4, **{"reward": 1.0, "entropy": 0.0} | weights)


REAL = torch.tensor([[True, True], [True, False]])
LABELS = torch.tensor([[1, 2], [3, 0]])


def logits(first: float, second: float) -> torch.Tensor:
    """Log-probabilities of the labels of either row; those of padding count for nothing."""
    probabilities = torch.full((2, 2, 4), 0.001)
    for row, value in enumerate((first, second)):
        probabilities[row] = (1 - value) / 3
        for place in range(2):
            probabilities[row, place, LABELS[row, place]] = value
    probabilities[1, 1] = torch.tensor([0.97, 0.01, 0.01, 0.01])
    return probabilities.log()


def test_the_gradient_favours_choices_that_did_better_than_usual() -> None:
    choices = torch.zeros(2, 2, requires_grad=True)
    given = logits(0.9, 0.1).requires_grad_()
    loss = reinforce()(given, LABELS, choices, torch.zeros(2, 2), REAL)
    loss.backward()
    usual = -math.log(4)
    good, bad = math.log(0.9) - usual, math.log(0.1) - usual
    assert choices.grad is not None
    assert choices.grad.flatten().tolist() == pytest.approx([-good / 3, -good / 3, -bad / 3, 0], abs=1e-6)
    assert given.grad is None


def test_the_baseline_is_a_moving_average_that_training_alone_moves() -> None:
    learner = reinforce()
    arguments = logits(0.5, 0.5), LABELS, torch.zeros(2, 2), torch.zeros(2, 2), REAL
    for _ in range(2):
        learner(*arguments)
    start, reward = -math.log(4), math.log(0.5)
    assert learner.baseline.item() == pytest.approx(0.81 * start + 0.19 * reward)
    before = learner.baseline.item()
    learner.eval()(*arguments)
    assert learner.baseline.item() == before
    assert "baseline" in learner.state_dict()


def test_entropy_is_rewarded_where_there_are_tokens() -> None:
    entropies = torch.tensor([[1.0, 2.0], [3.0, 50.0]])
    loss = reinforce(reward=0.0, entropy=0.5)(logits(0.5, 0.5), LABELS, torch.zeros(2, 2), entropies, REAL)
    assert loss.item() == pytest.approx(-0.5 * (1 + 2 + 3) / 3)
