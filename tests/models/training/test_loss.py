from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.training.loss import CHUNK, smoothed_cross_entropy

POSITIONS = 2 * CHUNK + 3


def example(seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    labels = torch.randint(1, 17, (POSITIONS,))
    labels[::5] = 0
    return (3 * torch.randn(POSITIONS, 17)).to(dtype).requires_grad_(), labels


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_loss_and_gradient_are_those_of_pytorch(smoothing: float) -> None:
    logits, labels = example(1)
    twin = logits.detach().clone().requires_grad_()
    ours = smoothed_cross_entropy(logits, labels, smoothing=smoothing, ignored=0)
    theirs = F.cross_entropy(twin, labels, label_smoothing=smoothing, ignore_index=0)
    torch.testing.assert_close(ours, theirs)
    (3 * ours).backward()
    (3 * theirs).backward()
    torch.testing.assert_close(logits.grad, twin.grad)


def test_a_certain_mistake_costs_what_it_should() -> None:
    logits = torch.tensor([[80.0, 0.0, 0.0]])
    assert smoothed_cross_entropy(logits, torch.tensor([2]), smoothing=0.0, ignored=9).item() == pytest.approx(
        80, abs=12
    )
    assert smoothed_cross_entropy(logits, torch.tensor([0]), smoothing=0.0, ignored=9).item() == pytest.approx(0)


def test_only_padding_costs_nothing() -> None:
    logits, _ = example(2)
    loss = smoothed_cross_entropy(logits, torch.zeros(POSITIONS, dtype=torch.long), smoothing=0.1, ignored=0)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_half_precision_logits_give_the_loss_in_full_precision() -> None:
    logits, labels = example(3, torch.bfloat16)
    loss = smoothed_cross_entropy(logits, labels, smoothing=0.1, ignored=0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, F.cross_entropy(logits.float(), labels, label_smoothing=0.1, ignore_index=0))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16
