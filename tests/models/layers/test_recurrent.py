"""Against PyTorch's own cells, one position of one row after another."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.layers.recurrent import Cell, LayerState, Recurrent, layer_states, name_states, state_names

CELLS: dict[Cell, type[nn.RNNCell | nn.LSTMCell | nn.GRUCell]] = {
    "rnn": nn.RNNCell,
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
}
INPUT, HIDDEN = 3, 4


def read(network: Recurrent, layer: int, suffix: str, inputs: Tensor) -> tuple[Tensor, LayerState]:
    """Outputs `[time, hidden]` and final state of one direction of one layer over `inputs [time, size]`."""
    cell = CELLS[network.cell](inputs.shape[1], HIDDEN)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data = getattr(network.network, f"{name}_l{layer}{suffix}").data
    state: LayerState = (torch.zeros(HIDDEN),) * (2 if network.cell == "lstm" else 1)
    outputs = []
    for vector in inputs:
        found = cell(vector, state if len(state) > 1 else state[0])
        state = found if isinstance(found, tuple) else (found,)
        outputs.append(state[0])
    return torch.stack(outputs), state


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_padded_rows_are_read_to_their_own_ends_in_both_directions(cell: Cell, bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = Recurrent(cell, INPUT, HIDDEN, 2, bidirectional=bidirectional)
    inputs, lengths = torch.randn(3, 5, INPUT), torch.tensor([2, 5, 1])
    outputs, final = network(inputs, lengths)
    assert outputs.shape == (3, 5, network.output_size)
    for row, length in enumerate(lengths.tolist()):
        vectors = inputs[row, :length]
        for layer in range(2):
            read_vectors, state = read(network, layer, "", vectors)
            if bidirectional:
                backward, last = read(network, layer, "_reverse", vectors.flip(0))
                read_vectors = torch.cat([read_vectors, backward.flip(0)], dim=1)
                state = tuple(torch.cat(parts) for parts in zip(state, last, strict=True))
            vectors = read_vectors
            for part, expected in zip(final[layer], state, strict=True):
                torch.testing.assert_close(part[row], expected)
        torch.testing.assert_close(outputs[row, :length], vectors)
        assert torch.equal(outputs[row, length:], torch.zeros(5 - length, network.output_size))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_alone_are_the_same_with_the_same_gradients(cell: Cell, bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = Recurrent(cell, INPUT, HIDDEN, 2, bidirectional=bidirectional)
    inputs, lengths = torch.randn(3, 5, INPUT, requires_grad=True), torch.tensor([2, 5, 1])
    found = []
    for outputs in (network(inputs, lengths)[0], network.outputs(inputs, lengths)):
        gradients = torch.autograd.grad(outputs.square().sum(), [inputs, *network.parameters()])
        found.append((outputs, *gradients))
    for expected, same in zip(*found, strict=True):
        torch.testing.assert_close(same, expected)
    assert (found[1][0][0, 2:] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_steps_and_the_whole_sequence_go_on_from_a_given_state(cell: Cell) -> None:
    torch.manual_seed(1)
    network = Recurrent(cell, INPUT, HIDDEN, 2)
    inputs = torch.randn(3, 5, INPUT)
    states = [tuple(torch.randn(3, HIDDEN) for _ in names) for names in state_names(cell, 2)]
    whole = network.unroll(inputs, states)
    for index in range(5):
        output, states = network.step(inputs[:, index], states)
        torch.testing.assert_close(output, whole[:, index])
        assert torch.equal(output, states[-1][0])


def test_dropout_between_layers_is_for_training_only() -> None:
    torch.manual_seed(2)
    network = Recurrent("gru", INPUT, HIDDEN, 2, dropout=0.5)
    inputs, states = torch.randn(3, INPUT), [(torch.zeros(3, HIDDEN),), (torch.zeros(3, HIDDEN),)]
    trained = network.step(inputs, states)[1]
    network.eval()
    served = network.step(inputs, states)[1]
    assert torch.equal(trained[0][0], served[0][0])
    assert not torch.equal(trained[1][0], served[1][0])


def test_each_gates_recurrent_map_keeps_lengths() -> None:
    weight = Recurrent("lstm", INPUT, HIDDEN).network.weight_hh_l0
    for gate in weight.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN))


def test_states_are_named_by_layer_and_part() -> None:
    assert state_names("lstm", 2) == [("layer.0.hidden", "layer.0.cell"), ("layer.1.hidden", "layer.1.cell")]
    states = [(torch.tensor([1.0]),), (torch.tensor([2.0]),)]
    named = name_states("gru", states)
    assert named == {"layer.0.hidden": states[0][0], "layer.1.hidden": states[1][0]}
    assert layer_states("gru", 2, named) == states
