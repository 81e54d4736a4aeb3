from __future__ import annotations

import pytest
import torch

from models.layers.dropout import Dropout, LockedDropout


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_the_rate_mean_and_variance_are_those_of_dropout(rate: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(rate)(torch.ones(400, 501))
    share = round(256 * rate) / 256
    assert abs((dropped == 0).float().mean().item() - share) < 0.004
    assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - share)])
    assert abs(dropped.mean().item() - 1) < 0.006
    assert abs(dropped.var().item() - share / (1 - share)) < 0.02


def test_every_byte_of_a_draw_is_fair() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(20_000, 8)) != 0).float().mean(dim=0)
    assert (kept - 0.5).abs().max() < 0.02


def test_bytes_of_a_draw_are_independent() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(20_000, 8)) != 0).float()
    correlation = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlation.abs().max() < 0.03


def test_the_gradient_passes_where_the_value_did() -> None:
    x = torch.ones(3, 7, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_seed_decides() -> None:
    drop = Dropout(0.4)
    torch.manual_seed(5)
    first = drop(torch.ones(50))
    torch.manual_seed(5)
    assert torch.equal(first, drop(torch.ones(50)))
    assert not torch.equal(first, drop(torch.ones(50)))


def test_it_keeps_the_precision_of_its_input() -> None:
    assert Dropout(0.3)(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_it_is_an_identity_outside_training_and_at_rate_zero() -> None:
    x = torch.randn(4, 4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0)(x) is x


def test_locked_dropout_drops_the_same_features_at_all_positions_of_a_row() -> None:
    torch.manual_seed(0)
    dropped = LockedDropout(0.4)(torch.ones(30, 5, 200))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert abs((dropped == 0).float().mean().item() - 0.4) < 0.02
    assert not torch.equal(dropped[0], dropped[1])


def test_locked_dropout_is_an_identity_outside_training_and_at_rate_zero() -> None:
    x = torch.randn(2, 3, 4)
    assert LockedDropout(0.5).eval()(x) is x
    assert LockedDropout(0)(x) is x
