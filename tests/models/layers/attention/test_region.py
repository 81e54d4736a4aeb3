from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.layers.attention.region import RegionAttention

REGIONS, QUERY, MEMORY, SIZE = 9, 5, 7, 6


def attention(*, hard: bool = False, gate: bool = False) -> RegionAttention:
    torch.manual_seed(0)
    return RegionAttention(QUERY, MEMORY, SIZE, hard=hard, gate=gate)


def pictures(captions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and memory of two pictures; the keys set the regions well apart."""
    torch.manual_seed(1)
    return torch.randn(2, captions, QUERY), 4 * torch.randn(2, REGIONS, SIZE), torch.randn(2, REGIONS, MEMORY)


def test_soft_attention_weighs_regions_by_their_scores() -> None:
    query, keys, memory = pictures(3)
    look = attention()(query, keys, memory)
    torch.testing.assert_close(look.weights, look.scores.softmax(dim=-1))
    torch.testing.assert_close(look.context[1, 2], look.weights[1, 2] @ memory[1])


def test_hard_attention_reads_one_region() -> None:
    query, keys, memory = pictures(3)
    look = attention(hard=True)(query, keys, memory)
    best = look.scores.argmax(dim=-1)
    assert torch.equal(look.context[1, 2], memory[1, best[1, 2]])
    assert torch.equal(look.weights.sum(dim=-1), torch.ones(2, 3))


def test_regions_are_drawn_as_often_as_their_weights_say() -> None:
    layer, draws = attention(hard=True), 4_000
    query, keys, memory = pictures(1)
    draw = layer.draw((2, draws, REGIONS), 0.0, query.device)
    look = layer(query.expand(2, draws, QUERY), keys, memory, draw)
    probable = look.scores[:, 0].softmax(dim=-1)
    assert probable.amax() < 0.9
    assert torch.equal(look.weights.sum(dim=-1), torch.ones(2, draws))
    # Four standard deviations of a share of so many draws.
    torch.testing.assert_close(look.weights.mean(dim=1), probable, rtol=0, atol=4 * (0.25 / draws) ** 0.5)


def test_some_captions_are_given_the_expectation_and_the_others_a_draw() -> None:
    layer = attention(hard=True)
    query, keys, memory = pictures(40)
    draw = layer.draw((2, 40, REGIONS), 0.5, query.device)
    assert draw.expected.any()
    assert not draw.expected.all()
    look = layer(query, keys, memory, draw)
    soft = look.scores.softmax(dim=-1)
    for weights, scores, expected in zip(*map(_rows, (look.weights, soft, draw.expected)), strict=True):
        assert torch.equal(weights, scores) if expected else weights.amax() == 1


def _rows(values: Tensor) -> list[Tensor]:
    return list(values.flatten(0, 1))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_gate_scales_what_is_read(value: float) -> None:
    layer = attention(gate=True)
    assert layer.gate is not None
    torch.nn.init.zeros_(layer.gate.weight)
    torch.nn.init.constant_(layer.gate.bias, 100 * (2 * value - 1))
    query, keys, memory = pictures(3)
    look = layer(query, keys, memory)
    torch.testing.assert_close(look.context, value * (look.weights @ memory))
