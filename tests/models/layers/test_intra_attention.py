"""Against the paper's equations, one position of one row after another in NumPy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.layers.intra_attention import IntraAttention

INPUT, HIDDEN, ATTENTION = 3, 4, 5
Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def read(layer: IntraAttention, inputs: Array) -> tuple[Array, Array]:
    """States `[time, hidden]` and weights `[time, time]` of `inputs [time, input]` (equations 4 to 9)."""
    weights = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    hidden: list[Array] = []
    cells: list[Array] = []
    looked_back = np.zeros(HIDDEN)
    seen = np.zeros((len(inputs), len(inputs)))
    for t, x in enumerate(inputs):
        query = weights["input_query.weight"] @ x + weights["input_query.bias"]
        query = query + weights["state_query.weight"] @ looked_back
        scores = [(weights["energy.weight"] @ np.tanh(weights["key.weight"] @ h + query))[0] for h in hidden]
        share = np.exp(scores) / np.exp(scores).sum()
        seen[t, :t] = share
        looked_back = sum((s * h for s, h in zip(share, hidden, strict=True)), np.zeros(HIDDEN))
        memory = sum((s * c for s, c in zip(share, cells, strict=True)), np.zeros(HIDDEN))
        gates = weights["input_gates.weight"] @ x + weights["input_gates.bias"]
        enter, forget, leave, new = np.split(gates + weights["hidden_gates.weight"] @ looked_back, 4)
        cells.append(sigmoid(forget) * memory + sigmoid(enter) * np.tanh(new))
        hidden.append(sigmoid(leave) * np.tanh(cells[-1]))
    return np.stack(hidden), seen


@torch.no_grad()
def test_states_and_weights_are_those_of_the_papers_equations() -> None:
    torch.manual_seed(0)
    layer, inputs = IntraAttention(INPUT, HIDDEN, ATTENTION), torch.randn(2, 6, INPUT)
    states, weights = layer(inputs)
    for row in range(2):
        expected, seen = read(layer, inputs[row].double().numpy())
        np.testing.assert_allclose(states[row].numpy(), expected, atol=1e-6)
        np.testing.assert_allclose(weights[row, 1:].numpy(), seen[1:], atol=1e-6)


@torch.no_grad()
def test_the_first_word_is_shown_to_look_at_its_own_empty_place() -> None:
    layer = IntraAttention(INPUT, HIDDEN, ATTENTION)
    _, weights = layer(torch.randn(1, 3, INPUT))
    assert weights[0, 0].tolist() == [1, 0, 0]
    assert weights[0, 1].tolist() == [1, 0, 0]
    assert weights[0, 2, 2] == 0


@torch.no_grad()
def test_later_words_change_nothing_before_them() -> None:
    layer, inputs = IntraAttention(INPUT, HIDDEN, ATTENTION), torch.randn(1, 5, INPUT)
    whole, _ = layer(inputs)
    start, _ = layer(inputs[:, :3])
    torch.testing.assert_close(whole[:, :3], start)


@torch.no_grad()
def test_the_loop_that_is_exported_gives_the_same_numbers() -> None:
    torch.manual_seed(1)
    layer, inputs = IntraAttention(INPUT, HIDDEN, ATTENTION), torch.randn(2, 6, INPUT)
    parts = layer.input_gates(inputs).transpose(0, 1), layer.input_query(inputs).transpose(0, 1)
    for one, other in zip(layer._scan(*parts), layer._loop(*parts), strict=True):
        torch.testing.assert_close(one, other)
