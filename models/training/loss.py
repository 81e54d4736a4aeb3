"""Label-smoothed cross-entropy whose gradient is computed along with the loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 64
"""Positions handled at once, so that a chunk of logits stays in a CPU's cache."""

TINIEST = 1e-30


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, smoothing: float, ignored: int) -> Tensor:
        gradient = torch.empty_like(logits)
        real = labels.ne(ignored).unsqueeze(1).float()
        count = real.sum().clamp_min(1)
        total = torch.zeros((), device=logits.device)
        uniform = smoothing / logits.shape[1]
        for start in range(0, len(labels), CHUNK):
            rows = slice(start, start + CHUNK)
            chunk, label, keep = logits[rows].float(), labels[rows].unsqueeze(1), real[rows]
            probabilities = chunk.softmax(dim=1)
            of_label, probability = chunk.gather(1, label), probabilities.gather(1, label)
            log_sum = of_label - probability.clamp_min(TINIEST).log()
            expected = (1 - smoothing) * of_label + smoothing * chunk.mean(dim=1, keepdim=True)
            total += ((log_sum - expected) * keep).sum()
            probabilities.sub_(uniform).scatter_add_(1, label, torch.full_like(probability, smoothing - 1))
            gradient[rows] = probabilities.mul_(keep / count)
        ctx.save_for_backward(gradient)
        return total / count

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0].to(gradient.dtype), None, None, None


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float, ignored: int) -> Tensor:
    """Mean loss over labels other than `ignored`: `logits [positions, vocabulary]`, `labels [positions]` → scalar.

    Equal to `torch.nn.functional.cross_entropy` with `label_smoothing` (Szegedy et al. 2016, section 7), with a
    third of its passes over a tensor that is the largest of a small model's training step.
    """
    loss: Tensor = _SmoothedCrossEntropy.apply(logits, labels, smoothing, ignored)
    return loss
