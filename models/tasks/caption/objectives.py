"""What attention over a picture learns from beside the words (Xu et al. 2015)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BASELINE_DECAY = 0.9


def attend_everywhere(weights: Tensor, real: Tensor) -> Tensor:
    """The doubly stochastic regulariser (section 4.2.1, equation 14): each region gets a weight of about 1 in all.

    Args:
        weights: `[rows, target, regions]`, summing to 1 over regions.
        real: `[rows, target]`, True where there is a token.

    Returns:
        The mean over rows and regions of the squared distance from 1, a scalar.
    """
    return (1 - (weights * real.unsqueeze(-1)).sum(dim=1)).square().mean()


class Reinforce(nn.Module):
    """The part of the gradient of hard attention that goes through the choice of regions (section 4.1, equation 12).

    A caption's reward is the mean logarithm of the probability of its words, given the regions that were drawn; of it
    the moving average of earlier batches is taken (`baseline`, a buffer), so that a draw is favoured when it did
    better than usual. The entropy of the draws is rewarded too.

    Args:
        vocabulary_size: of the words; before anything is learnt, all are as probable.
        reward: weight λ_r.
        entropy: weight λ_e.
    """

    baseline: Tensor

    def __init__(self, vocabulary_size: int, *, reward: float, entropy: float) -> None:
        super().__init__()
        self.reward, self.entropy = reward, entropy
        self.register_buffer("baseline", torch.tensor(-math.log(vocabulary_size)))

    def forward(self, logits: Tensor, labels: Tensor, choices: Tensor, entropies: Tensor, real: Tensor) -> Tensor:
        """A loss whose gradient is that of the choices, a mean over tokens; moves the baseline while training.

        Args:
            logits: `[rows, target, vocabulary]`, of which no gradient is taken.
            labels: `[rows, target]`.
            choices: `[rows, target]`, logarithm of the probability of the region that was drawn; 0 where none was.
            entropies: `[rows, target]`, of the distribution that it was drawn from.
            real: `[rows, target]`, True where there is a token.
        """
        kept = real.float()
        flat = F.cross_entropy(logits.detach().flatten(0, 1).float(), labels.flatten(), reduction="none")
        rewards = -(flat.view_as(kept) * kept).sum(dim=1) / kept.sum(dim=1).clamp_min(1)
        advantage = (rewards - self.baseline).unsqueeze(1)
        if self.training:
            self.baseline.lerp_(rewards.mean(), 1 - BASELINE_DECAY)
        gained = self.reward * advantage * choices + self.entropy * entropies
        return -(gained * kept).sum() / kept.sum()
