"""Pixels as tokens: each of three colours is one of 256 intensities, a pixel's red before its green before its blue."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contract.pixels import LEVELS
from contract.preprocessing import CHANNELS
from models.layers.transformer import FeedForward


def intensity_features(hidden_size: int) -> Tensor:
    """Waves over the intensities, `[256, hidden]`: the shortest tells neighbours apart, the longest dark from bright.

    What starts from them knows that intensities are in an order, which it would take many pictures to learn.
    """
    half = hidden_size // 2
    rates = math.pi / 2 * (2 / LEVELS) ** (torch.arange(half) / max(half - 1, 1))
    angles = torch.arange(LEVELS)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class PixelEmbedding(nn.Module):
    """A vector for each intensity of each channel (Parmar et al. 2018, section 3.1), and one for what starts a picture.

    A token's channel follows from its position: at 0 stands BOS (the id 256), at p ≥ 1 the channel p - 1 mod 3.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS * LEVELS + 1, hidden_size))
        waves = intensity_features(hidden_size)
        with torch.no_grad():
            for channel in range(CHANNELS):
                turned = nn.init.orthogonal_(torch.empty(hidden_size, hidden_size))
                self.weight[channel * LEVELS : (channel + 1) * LEVELS] = waves @ turned

    def forward(self, token_ids: Tensor, position: Tensor) -> Tensor:
        """`token_ids [rows, time]` at `position [time]` or `[rows, time]` → `[rows, time, hidden]`."""
        # BOS stands where the third channel of a pixel before the first would: 2 · 256 + 256 is the last vector.
        return F.embedding(token_ids + LEVELS * ((position + CHANNELS - 1) % CHANNELS), self.weight)


class ChannelReadout(nn.Module):
    """The intensities of a pixel's channels, one after another: what is known of the pixel joins what stands before it.

    The layers below see whole pixels, which are a third as many as their channels; in the paper's variant with mixtures
    of logistics they do so too (section 3.1).
    """

    def __init__(self, hidden_size: int, feed_forward_size: int, dropout: float) -> None:
        super().__init__()
        self.channel = nn.Parameter(torch.zeros(CHANNELS, hidden_size))
        self.known = nn.Linear(hidden_size, hidden_size)
        self.hidden_norm = nn.LayerNorm(hidden_size)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, feed_forward_size, dropout)
        self.output_norm = nn.LayerNorm(hidden_size)
        self.output = nn.Linear(hidden_size, LEVELS)
        with torch.no_grad():
            self.output.weight.copy_(intensity_features(hidden_size) * hidden_size**-0.5)
            self.output.bias.zero_()

    def forward(self, hidden: Tensor, known: Tensor, channel: Tensor) -> Tensor:
        """Logits of a channel.

        Args:
            hidden: `[…, hidden]`, what the layers make of the pixels before.
            known: `[…, hidden]`, the sum of the embeddings of the pixel's channels before this one.
            channel: number of the channel, of a shape that the others' leading axes are broadcast to.

        Returns:
            `[…, 256]`.
        """
        x = self.hidden_norm(hidden) + self.known(known) + F.embedding(channel, self.channel)
        x = x + self.feed_forward(self.feed_forward_norm(x))
        logits: Tensor = self.output(self.output_norm(x))
        return logits
