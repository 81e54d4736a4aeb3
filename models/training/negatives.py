"""Outputs to contrast the right ones with, where contrasting with all of them would take too long."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Negatives(nn.Module):
    """A sample of outputs that all positions of a batch share: the batch's own labels and `count` others.

    Labels are outputs in proportion to their frequency, so popular ones are contrasted often; the others are drawn
    evenly, so that every output is pushed away from where it does not belong.

    Args:
        frequencies: `[outputs]`, how often each is a label in the training data; outputs that never are may be drawn
            too. Output 0 is a dummy and is not drawn.
        count: how many are drawn besides the labels.
    """

    def __init__(self, frequencies: Tensor, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("shares", frequencies.double() / frequencies.sum(), persistent=False)

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample for a batch.

        Args:
            labels: `[positions]`.

        Returns:
            ids of the sampled outputs `[sampled]`, each once, in order; the place of each label among them
            `[positions]`; and the logarithm of the probability that a batch of so many labels holds each, `[sampled]`.
        """
        shares = self.get_buffer("shares")
        drawn = torch.randint(1, len(shares), (self.count,), device=labels.device)
        sampled, places = torch.cat([labels, drawn]).unique(return_inverse=True)
        even = torch.log1p(torch.tensor(-1 / (len(shares) - 1), dtype=torch.float64))
        absent = len(labels) * torch.log1p(-shares[sampled]) + self.count * even
        return sampled, places[: len(labels)], torch.log(-torch.expm1(absent)).float()
