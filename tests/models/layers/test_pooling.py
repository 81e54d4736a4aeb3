from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from models.layers.pooling import AttentionPooling, pool

STATES = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [0.0, 0.0]], [[-5.0, 6.0], [0.0, 0.0], [0.0, 0.0]]])
LENGTHS = torch.tensor([2, 1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean", [[2, -3], [-5, 6]]), ("max", [[3, -2], [-5, 6]])],
)
def test_padding_takes_no_part(name: Literal["mean", "max"], expected: list[list[float]]) -> None:
    assert pool(name, STATES, LENGTHS).tolist() == expected


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
def test_attention_is_the_softmax_of_a_small_network_over_real_positions(bias: bool) -> None:
    torch.manual_seed(0)
    layer = AttentionPooling(2, 5, hops=3, bias=bias)
    sums, weights = layer(STATES, LENGTHS)
    assert [name for name, _ in layer.named_parameters()] == ["hidden.weight", *["hidden.bias"] * bias, "hops.weight"]
    for row, length in enumerate(LENGTHS.tolist()):
        states = STATES[row, :length].double().numpy()
        hidden = np.tanh(states @ layer.hidden.weight.numpy().T + (layer.hidden.bias.numpy() if bias else 0))
        scores = np.exp(hidden @ layer.hops.weight.numpy().T)
        expected = (scores / scores.sum(axis=0)).T
        np.testing.assert_allclose(weights[row, :, :length].numpy(), expected, rtol=1e-5)
        np.testing.assert_allclose(sums[row].numpy(), expected @ states, rtol=1e-5, atol=1e-6)
        assert not weights[row, :, length:].any()
