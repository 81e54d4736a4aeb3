from __future__ import annotations

import pytest
import torch

from models.training.average import MovingAverage
from models.training.module import rate_factor


def rates(schedule: str, steps: int, *, warmup: int, total: int) -> list[float]:
    return [rate_factor(step, warmup=warmup, total=total, schedule=schedule) for step in range(steps)]


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    assert rates("linear", 9, warmup=4, total=8) == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    assert rate_factor(50, warmup=4, total=8, schedule="linear") == 0


def test_the_inverse_square_root_has_no_end() -> None:
    assert rates("inverse_sqrt", 4, warmup=4, total=4) == [0.25, 0.5, 0.75, 1.0]
    assert rate_factor(15, warmup=4, total=4, schedule="inverse_sqrt") == 0.5
    assert rate_factor(399, warmup=4, total=4, schedule="inverse_sqrt") == pytest.approx(0.1)


def test_halving_has_four_stages_after_the_warm_up() -> None:
    factors = [rate_factor(step, warmup=2, total=10, schedule="halving") for step in range(12)]
    assert factors == [0.5, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125, 0.125]


def test_a_young_average_follows_the_weights_closely() -> None:
    average = MovingAverage(0.99)._kwargs["multi_avg_fn"]
    kept = [torch.zeros(2), torch.zeros(1)]
    average(kept, [torch.full((2,), 11.0), torch.full((1,), 22.0)], torch.tensor(1))
    assert kept[0].tolist() == pytest.approx([9.0, 9.0])  # decay 2 / 11
    assert kept[1].tolist() == pytest.approx([18.0])
    average(kept, [torch.full((2,), 109.0), torch.full((1,), 18.0)], torch.tensor(10**6))
    assert kept[0].tolist() == pytest.approx([10.0, 10.0])
    assert kept[1].tolist() == pytest.approx([18.0])
