from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.training import linear_loss
from models.training.linear_loss import linear_cross_entropy

SIZE, OUTPUTS = 8, 37


def example(positions: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    hidden, table = torch.randn(positions, SIZE), torch.randn(OUTPUTS, SIZE)
    return hidden.requires_grad_(), table.requires_grad_(), torch.randint(0, OUTPUTS, (positions,))


def twins(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


@pytest.fixture(params=[1, 5 * OUTPUTS, 1 << 20], ids=["one position", "five positions", "all"])
def _chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one position, chunks that do not divide the positions, and everything at once."""
    monkeypatch.setattr(linear_loss, "CHUNK", request.param)


@pytest.mark.usefixtures("_chunk")
def test_loss_and_gradients_are_those_of_the_whole_logits() -> None:
    hidden, table, labels = example(13)
    other_hidden, other_table = twins(hidden, table)
    ours = linear_cross_entropy(hidden, table, labels)
    theirs = F.cross_entropy(other_hidden @ other_table.T, labels)
    torch.testing.assert_close(ours, theirs)
    (3 * ours).backward()
    (3 * theirs).backward()
    torch.testing.assert_close(hidden.grad, other_hidden.grad)
    torch.testing.assert_close(table.grad, other_table.grad)


@pytest.mark.usefixtures("_chunk")
def test_weights_count_for_all_outputs_but_the_label() -> None:
    hidden, table, labels = example(13, seed=1)
    other_hidden, other_table = twins(hidden, table)
    weights = torch.rand(OUTPUTS) * 5
    ours = linear_cross_entropy(hidden, table, labels, weights.log())
    logits = other_hidden @ other_table.T
    of_label = logits.gather(1, labels[:, None]).squeeze(1).exp()
    others = (logits.exp() * weights).sum(dim=1) - of_label * weights[labels]
    theirs = ((of_label + others).log() - of_label.log()).mean()
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(hidden.grad, other_hidden.grad)
    torch.testing.assert_close(table.grad, other_table.grad)


def test_no_positions_cost_nothing() -> None:
    hidden, table, labels = example(0)
    loss = linear_cross_entropy(hidden, table, labels)
    loss.backward()
    assert loss.item() == 0
    assert table.grad is not None
    assert table.grad.abs().max() == 0


def test_autocast_multiplies_in_bf16_and_sums_in_fp32() -> None:
    hidden, table, labels = example(13, seed=2)
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(hidden, table, labels)
    exact = F.cross_entropy(hidden @ table.T, labels)
    assert loss.dtype == torch.float32
    assert 0 < abs(loss.item() - exact.item()) < 0.05
    loss.backward()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.float32
