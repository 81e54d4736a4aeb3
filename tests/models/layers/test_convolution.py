from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers.convolution import ROOT_HALF, AttendingConvolution, GatedConvolution, SourceMemory, affine

ROWS, TIME, SIZE = 2, 7, 4


def inputs() -> Tensor:
    return torch.randn(ROWS, TIME, SIZE, generator=torch.Generator().manual_seed(1))


def reference(layer: GatedConvolution, x: Tensor, before: int) -> Tensor:
    """The same by PyTorch's own convolution, the second half of whose channels are the gates."""
    kernel = layer.kernel_size
    weight = layer.linear.weight.view(-1, kernel, SIZE).transpose(1, 2)
    padded = F.pad(x.transpose(1, 2), (before, kernel - 1 - before))
    values, gates = F.conv1d(padded, weight, layer.linear.bias).transpose(1, 2).chunk(2, dim=-1)
    return values * gates.sigmoid()


@torch.no_grad()
@pytest.mark.parametrize(("kernel_size", "before"), [(1, 0), (2, 1), (3, 1), (3, 2), (5, 0)])
def test_it_is_a_convolution_with_a_gated_linear_unit(kernel_size: int, before: int) -> None:
    layer, x = GatedConvolution(SIZE, kernel_size, dropout=0.0), inputs()
    torch.testing.assert_close(layer(x, before), reference(layer, x, before))


@torch.no_grad()
def test_steps_carry_the_inputs_that_the_next_ones_read() -> None:
    layer, x = GatedConvolution(SIZE, 3, dropout=0.0), inputs()
    window, outputs = torch.zeros(ROWS, 1, 2 * SIZE), []
    for t in range(TIME):
        output, window = layer.step(x[:, t : t + 1], window)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), layer(x, before=2))
    assert torch.equal(window, x[:, -2:].flatten(1).unsqueeze(1))


@torch.no_grad()
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_variance_is_kept_with_dropout_and_without(dropout: float) -> None:
    """Nearly: a gate lets 0.34 of the variance through, not the 1/4 that the paper reckons with."""
    torch.manual_seed(3)
    layer, x = GatedConvolution(64, 3, dropout), torch.randn(40, 50, 64)
    assert layer(x, before=1).var() == pytest.approx(1.35, rel=0.1)


@torch.no_grad()
def test_an_affine_map_scales_the_variance_by_its_gain() -> None:
    torch.manual_seed(3)
    x = torch.randn(40, 50, 64)
    assert affine(64, 128)(x).var() == pytest.approx(1, rel=0.1)
    assert affine(64, 128, gain=0.25)(x).var() == pytest.approx(0.25, rel=0.1)


def attend(layer: AttendingConvolution, mask: Tensor) -> tuple[Tensor, Tensor]:
    keys, values = inputs(), inputs().flip(1)
    return layer.forward(inputs(), inputs(), SourceMemory(keys, values, mask))


@torch.no_grad()
def test_a_position_attends_by_what_it_read_and_what_it_is() -> None:
    """Scores are inner products of encoder outputs with (W h + g) · √½ (equations 1 and 2)."""
    layer = AttendingConvolution(SIZE, SIZE, 3, dropout=0.0)
    mask = torch.tensor([[[True] * TIME], [[True] * 3 + [False] * (TIME - 3)]])
    output, weights = attend(layer, mask)
    read = reference(layer.convolution, inputs(), before=2)
    query = (layer.query(read) + inputs()) * ROOT_HALF
    scores = torch.einsum("rte,rse->rts", query, inputs())
    expected = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    torch.testing.assert_close(weights, expected)
    attended = (layer.context(expected @ inputs().flip(1)) + read) * ROOT_HALF
    torch.testing.assert_close(output, (attended + inputs()) * ROOT_HALF)
    assert (weights[1, :, 3:] == 0).all()
