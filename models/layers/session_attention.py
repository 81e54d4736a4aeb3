"""The additive attention of session-based recommenders, whose weights are not normalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SessionAttention(nn.Module):
    """Weights `v · σ(query + key)` without a softmax: how much each item matters does not depend on how many there are.

    Li et al. 2017 (NARM, section 3.4) and Liu et al. 2018 (STAMP, equation 7).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)
        # All items matter alike at first, and positively.
        nn.init.constant_(self.score.weight, 1 / size)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Weights of the items for each query; 0 where the mask is False.

        Args:
            query: `[rows, queries, size]`.
            keys: `[rows, items, size]`.
            mask: `[rows or 1, queries, items]`.

        Returns:
            `[rows, queries, items]`.
        """
        weights: Tensor = self.score(torch.sigmoid(query.unsqueeze(2) + keys.unsqueeze(1))).squeeze(3)
        return weights * mask


def causal_mask(items: int, device: torch.device) -> Tensor:
    """Which items each position sees, itself and those before it: `[1, items, items]`."""
    places = torch.arange(items, device=device)
    return (places[None, :] <= places[:, None]).unsqueeze(0)
