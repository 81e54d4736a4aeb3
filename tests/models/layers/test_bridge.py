from __future__ import annotations

import torch
from torch import Tensor

from models.layers.bridge import Bridge


def state(value: int, size: int) -> Tensor:
    return torch.full((2, size), float(value))


def test_states_of_equal_sizes_and_depths_are_handed_over() -> None:
    bridge = Bridge("lstm", encoder_layers=2, encoder_size=3, decoder_layers=2, decoder_size=3)
    final = [(state(1, 3), state(2, 3)), (state(3, 3), state(4, 3))]
    assert bridge(final) == final
    assert list(bridge.parameters()) == []


def test_a_shallow_decoder_starts_from_the_encoders_top() -> None:
    bridge = Bridge("gru", encoder_layers=3, encoder_size=3, decoder_layers=2, decoder_size=3)
    assert bridge.sources == [1, 2]


def test_a_deep_decoder_starts_its_lower_layers_from_the_encoders_first() -> None:
    bridge = Bridge("gru", encoder_layers=2, encoder_size=3, decoder_layers=4, decoder_size=3)
    assert bridge.sources == [0, 0, 0, 1]


@torch.no_grad()
def test_other_sizes_go_through_a_map_of_their_own_for_each_layer_and_part() -> None:
    bridge = Bridge("lstm", encoder_layers=1, encoder_size=2, decoder_layers=2, decoder_size=3)
    for parameter in bridge.parameters():
        parameter.fill_(0.5)
    initial = bridge([(state(1, 2), state(2, 2))])
    assert len(initial) == 2
    for hidden, cell in initial:
        torch.testing.assert_close(hidden, torch.tanh(state(1.5, 3)))
        torch.testing.assert_close(cell, state(2.5, 3))
    assert len(list(bridge.parameters())) == 2 * 2 * 2


def test_what_is_no_state_is_mapped_even_where_the_sizes_agree() -> None:
    bridge = Bridge("gru", encoder_layers=1, encoder_size=3, decoder_layers=1, decoder_size=3, mapped=True)
    assert len(list(bridge.parameters())) == 2
    ((hidden,),) = bridge([(state(100, 3),)])
    assert hidden.abs().amax() <= 1
