"""Each scoring function against its formula, one query and one key at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.layers.attention.additive import AdditiveScore
from models.layers.attention.attention import Attention
from models.layers.attention.concat import ConcatScore
from models.layers.attention.cosine import CosineScore
from models.layers.attention.dot import DotScore
from models.layers.attention.general import GeneralScore
from models.layers.attention.location import LocationScore
from models.layers.attention.scaled_dot import ScaledDotScore
from models.layers.attention.score import Score
from models.layers.attention.window import GlobalWindow

ROWS, TARGET, SOURCE, QUERY, MEMORY, ATTENTION = 2, 3, 4, 5, 6, 7


def check(score: Score, memory_size: int, formula: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    torch.manual_seed(0)
    query, memory = torch.randn(ROWS, TARGET, QUERY), torch.randn(ROWS, SOURCE, memory_size)
    with torch.no_grad():
        keys = score.keys(memory)
        scores = score(query, keys)
        expected = [
            [[formula(query[row, t], memory[row, s], s) for s in range(SOURCE)] for t in range(TARGET)]
            for row in range(ROWS)
        ]
    assert keys.shape == (ROWS, SOURCE, memory_size if score.key_size is None else score.key_size)
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_additive() -> None:
    score = AdditiveScore(QUERY, MEMORY, ATTENTION)
    check(score, MEMORY, lambda q, m, s: score.energy.weight[0] @ torch.tanh(score.query(q) + score.memory(m)))


def test_concat() -> None:
    score = ConcatScore(QUERY, MEMORY, ATTENTION)
    check(score, MEMORY, lambda q, m, s: score.energy.weight[0] @ torch.tanh(score.joint.weight @ torch.cat([q, m])))


def test_dot() -> None:
    check(DotScore(), QUERY, lambda q, m, s: q @ m)


def test_scaled_dot() -> None:
    check(ScaledDotScore(), QUERY, lambda q, m, s: q @ m / math.sqrt(QUERY))


def test_general() -> None:
    score = GeneralScore(QUERY, MEMORY)
    check(score, MEMORY, lambda q, m, s: q @ score.memory.weight @ m)


def test_location() -> None:
    score = LocationScore(QUERY, max_source_length=SOURCE + 2)
    check(score, MEMORY, lambda q, m, s: score.positions.weight[s] @ q)


def test_cosine() -> None:
    score = CosineScore(QUERY, MEMORY)

    def formula(query: Tensor, memory: Tensor, position: int) -> Tensor:
        key, strength = score.key(query), torch.log1p(score.strength(query).exp())[0]
        return strength * (key @ memory) / (key.norm() * memory.norm())

    check(score, MEMORY, formula)


@pytest.mark.parametrize("length", [1, 3])
def test_the_context_is_the_weighted_sum_of_the_memory(length: int) -> None:
    attention = Attention(DotScore(), GlobalWindow())
    torch.manual_seed(1)
    query, memory = torch.randn(1, TARGET, QUERY), torch.randn(1, SOURCE, QUERY)
    context, weights = attention(query, memory, memory, torch.arange(TARGET)[None], torch.tensor([length]))
    assert torch.equal(weights[0, :, length:], torch.zeros(TARGET, SOURCE - length))
    real = memory[0, :length]
    torch.testing.assert_close(weights[0, :, :length], (query[0] @ real.T).softmax(dim=1))
    torch.testing.assert_close(context[0], weights[0, :, :length] @ real)
