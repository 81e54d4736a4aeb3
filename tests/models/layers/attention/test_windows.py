from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.layers.attention.local_m import MonotonicWindow
from models.layers.attention.local_p import PredictiveWindow
from models.layers.attention.window import GlobalWindow

SOURCE = 8


def seen(weights: Tensor) -> list[list[int]]:
    """Positions with a weight, of each target position of the first row."""
    return [row.nonzero().flatten().tolist() for row in weights[0]]


def monotonic(size: int, length: int, targets: int) -> Tensor:
    position = torch.arange(targets)[None]
    return MonotonicWindow(size)(torch.zeros(1, targets, SOURCE), torch.empty(0), position, torch.tensor([length]))


def predictive(size: int, length: int, centre: float) -> Tensor:
    """Weights of a local-p window whose network predicts the given centre."""
    window = PredictiveWindow(1, size)
    share = centre / (length - 1) if length > 1 else 0.5
    with torch.no_grad():
        window.hidden.weight.fill_(1.0)
        window.centre.weight.fill_(math.log(share / (1 - share)) / math.tanh(1.0))
        return window(torch.zeros(1, 1, SOURCE), torch.ones(1, 1, 1), torch.zeros(1, 1), torch.tensor([length]))


def test_global_looks_at_every_real_position() -> None:
    weights = GlobalWindow()(torch.zeros(1, 1, SOURCE), torch.empty(0), torch.zeros(1, 1), torch.tensor([5]))
    torch.testing.assert_close(weights[0, 0], torch.tensor([0.2] * 5 + [0.0] * 3))


def test_local_m_follows_the_target_and_stays_at_the_sources_end() -> None:
    weights = monotonic(size=1, length=4, targets=7)
    assert seen(weights) == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3], [2, 3], [2, 3], [2, 3]]
    torch.testing.assert_close(weights[0, 1, :3], torch.full((3,), 1 / 3))


def test_local_p_is_a_gaussian_over_the_softmax_of_its_window() -> None:
    weights = predictive(size=2, length=7, centre=3.25)
    assert seen(weights) == [[2, 3, 4, 5]]
    expected = torch.tensor([math.exp(-((s - 3.25) ** 2) / 2) / 4 for s in (2, 3, 4, 5)])
    torch.testing.assert_close(weights[0, 0, 2:6], expected)


@given(st.integers(1, 3), st.integers(1, SOURCE), st.integers(0, 100))
def test_no_window_is_empty_and_none_reaches_into_the_padding(size: int, length: int, position: int) -> None:
    local_m = monotonic(size, length, position + 1)[:, -1:]
    local_p = predictive(size, length, centre=(length - 1) * (0.5 + position) / 101 if length > 1 else 0.0)
    for weights in (local_m, local_p):
        assert weights.sum() > 0
        assert torch.equal(weights[..., length:], torch.zeros(1, 1, SOURCE - length))
