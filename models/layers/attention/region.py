"""Attention over the regions of a picture, soft or hard (Xu et al. 2015, section 4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.attention.additive import AdditiveScore


class Draw(NamedTuple):
    """What decides where hard attention looks while it trains; one step's part, or those of all steps.

    Attributes:
        noise: `[…, captions, regions]`, of Gumbel's distribution: the region whose score is the largest with it is one
            drawn by the softmax of the scores (Maddison et al. 2014).
        expected: `[…, captions, 1]`, True where the expectation over all regions takes the place of a drawn one.
    """

    noise: Tensor
    expected: Tensor


class Look(NamedTuple):
    """What one step sees.

    Attributes:
        context: `[images, captions, memory]`.
        weights: `[images, captions, regions]`, what the regions count in it; all in one of them if attention is hard.
        scores: `[images, captions, regions]`, before the softmax.
    """

    context: Tensor
    weights: Tensor
    scores: Tensor


class RegionAttention(nn.Module):
    """Reads a picture for each of its captions.

    Soft attention averages all regions; hard attention takes one, the likeliest or, given a draw, a drawn one. The
    gate β, a number between 0 and 1 that the decoder's state gives, scales what was read (section 4.2.1).
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int, *, hard: bool, gate: bool) -> None:
        super().__init__()
        self.hard = hard
        self.score = AdditiveScore(query_size, memory_size, attention_size)
        self.gate = nn.Linear(query_size, 1) if gate else None

    def draw(self, scores: tuple[int, ...], expected_share: float, device: torch.device) -> Draw:
        """Chance for scores of a shape `[…, captions, regions]`; a caption has the expectation at all steps or none."""
        noise = -torch.empty(scores, device=device).exponential_().log()
        expected = torch.rand((*scores[-3:-1], 1), device=device) < expected_share
        return Draw(noise, expected)

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, draw: Draw | None = None) -> Look:
        """One step of all captions.

        Args:
            query: `[images, captions, query]`, the decoder's states.
            keys: `[images, regions, attention]`, from `score.keys(memory)`.
            memory: `[images, regions, memory]`.
            draw: for one step; None takes the likeliest region.
        """
        scores: Tensor = self.score(query, keys)
        weights = self._choose(scores, draw) if self.hard else scores.softmax(dim=-1)
        context = weights @ memory
        if self.gate is not None:
            context = context * torch.sigmoid(self.gate(query))
        return Look(context, weights, scores)

    @staticmethod
    def _choose(scores: Tensor, draw: Draw | None) -> Tensor:
        noisy = scores if draw is None else scores + draw.noise
        chosen = F.one_hot(noisy.argmax(dim=-1), scores.shape[-1]).to(scores.dtype)
        return chosen if draw is None else torch.where(draw.expected, scores.softmax(dim=-1), chosen)
