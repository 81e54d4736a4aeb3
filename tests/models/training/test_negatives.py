from __future__ import annotations

import torch

from models.training.negatives import Negatives

FREQUENCIES = torch.tensor([0, 60, 25, 10, 5, 0, 0])


def test_labels_are_found_in_the_sample_and_each_item_is_there_once() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([4, 1, 1, 3])
    sampled, places, log_chance = Negatives(FREQUENCIES, 3)(labels)
    assert torch.equal(sampled[places], labels)
    assert torch.equal(sampled, sampled.unique())
    assert sampled.min() > 0
    assert log_chance.shape == sampled.shape


def test_the_chance_is_how_often_an_item_is_in_the_sample() -> None:
    torch.manual_seed(1)
    negatives = Negatives(FREQUENCIES, 2)
    trials, seen, stated = 4_000, torch.zeros(7), torch.zeros(7)
    for _ in range(trials):
        labels = torch.multinomial(FREQUENCIES.float(), 3, replacement=True)
        sampled, _, log_chance = negatives(labels)
        seen[sampled] += 1
        stated[sampled] = log_chance.exp()
    torch.testing.assert_close(stated[1:], seen[1:] / trials, rtol=0, atol=0.03)


def test_a_sample_estimates_the_sum_over_all_items_without_bias() -> None:
    torch.manual_seed(2)
    negatives, values = Negatives(FREQUENCIES, 2), torch.tensor([0.0, 1, 2, 3, 4, 5, 6])
    total, trials = 0.0, 4_000
    for _ in range(trials):
        sampled, _, log_chance = negatives(torch.multinomial(FREQUENCIES.float(), 3, replacement=True))
        total += float((values[sampled] * (-log_chance).exp()).sum())
    assert abs(total / trials - values.sum().item()) < 0.6
