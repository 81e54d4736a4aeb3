"""Cross-entropy over a large table of outputs, without ever holding all logits.

What a recommender or a masked language model learns from is a product with a table of tens of thousands of rows, and
then a softmax. The logits of a batch fill a gigabyte and are needed three times; those of a few hundred positions stay
in a CPU's cache, if loss and both gradients are computed while they are there (the idea of Wijmans et al. 2024, "Cut
Your Losses in Large-Vocabulary Language Models").
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.training.loss import TINIEST

CHUNK = 1 << 23
"""Logits computed at once: positions enough to keep the matrix products fast, few enough to stay in a cache."""


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, table: Tensor, labels: Tensor, weights: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        rows, columns = hidden.to(dtype), table.to(dtype)
        others = None if weights is None else weights.to(dtype)
        hidden_gradient, table_gradient = torch.empty_like(hidden), torch.zeros_like(table, dtype=torch.float32)
        total = torch.zeros((), device=hidden.device)
        count, step = max(len(labels), 1), max(CHUNK // len(table), 1)
        for start in range(0, len(labels), step):
            part = slice(start, start + step)
            chunk, label = rows[part], labels[part]
            right = torch.arange(len(label), device=label.device), label  # scatter_ would copy the whole chunk
            logits = chunk @ columns.T
            if others is not None:
                logits += others
                logits[right] -= others[label]
            errors = logits.softmax(dim=1)
            total -= errors[right].float().clamp_min(TINIEST).log().sum()
            errors[right] -= 1
            hidden_gradient[part] = errors @ columns
            table_gradient += errors.T @ chunk
        ctx.save_for_backward(hidden_gradient.div_(count), table_gradient.div_(count).to(table.dtype))
        return total / count

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden_gradient, table_gradient = ctx.saved_tensors
        return hidden_gradient * outer[0], table_gradient * outer[0], None, None, None


def linear_cross_entropy(hidden: Tensor, table: Tensor, labels: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of `softmax(hidden · tableᵀ)`.

    Products are in the dtype of autocast where that is on, sums over positions always in fp32.

    Args:
        hidden: `[positions, size]`.
        table: `[outputs, size]`.
        labels: `[positions]`, each a row of the table.
        log_weights: `[outputs]`, logarithm of how often each output counts where it is not the label: for a sample of
            a larger table, minus the logarithm of the probability of being in it makes the sum over the sample an
            unbiased estimate of the sum over all (Bengio and Senécal 2008).

    Returns:
        A scalar; 0 when there is no position.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        loss: Tensor = _LinearCrossEntropy.apply(hidden, table, labels, log_weights, dtype)
    return loss
