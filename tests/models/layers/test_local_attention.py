"""Attention over a window is attention over everything, with a mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.layers.exportable import merge_heads, split_heads
from models.layers.local_attention import local_attention, windowed_step

HEADS, SIZE = 2, 6


def draw(rows: int, time: int, window: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(time * 100 + window)
    query_key_value = torch.randn(rows, time, 3 * SIZE, generator=generator)
    return query_key_value, torch.randn(HEADS, window, generator=generator)


def masked_attention(query_key_value: Tensor, bias: Tensor) -> Tensor:
    query, key, value = (split_heads(part, HEADS) for part in query_key_value.chunk(3, dim=-1))
    scores = query @ key.transpose(-1, -2) / (SIZE // HEADS) ** 0.5
    for i in range(scores.shape[2]):
        for j in range(scores.shape[3]):
            age = i - j
            scores[:, :, i, j] += bias[:, age] if 0 <= age < bias.shape[1] else float("-inf")
    return merge_heads(scores.softmax(dim=-1) @ value)


@settings(max_examples=30)
@given(st.integers(1, 2), st.integers(1, 40), st.sampled_from([1, 2, 7, 32, 37, 64]))
def test_blocks_see_what_a_mask_lets_through(rows: int, time: int, window: int) -> None:
    query_key_value, bias = draw(rows, time, window)
    expected = masked_attention(query_key_value, bias)
    torch.testing.assert_close(local_attention(query_key_value, bias), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_steps_round_a_window_equal_the_whole_at_once(window: int) -> None:
    time, rows = 13, 2
    query_key_value, bias = draw(rows, time, window)
    keys = values = torch.full((rows, HEADS, window, SIZE // HEADS), 1e3)  # what others left there
    expected = local_attention(query_key_value, bias)
    for step in range(time):
        now = query_key_value[:, step : step + 1]
        attended, keys, values = windowed_step(now, keys, values, torch.full((rows,), step), bias)
        torch.testing.assert_close(attended[:, 0], expected[:, step], rtol=0, atol=1e-5)


def test_each_distance_learns_its_weight() -> None:
    query_key_value, bias = draw(1, 40, 37)
    bias.requires_grad_(True)
    local_attention(query_key_value, bias).square().sum().backward()
    assert bias.grad is not None
    assert (bias.grad.abs() > 0).all()
