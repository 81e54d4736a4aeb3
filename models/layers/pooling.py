"""From the states of a sequence to one vector, or several."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from models.layers.attention.window import masked_softmax
from models.layers.exportable import length_mask

PoolingName = Literal["last", "mean", "max", "attention"]
"""*last* is the final state, and needs no pooling."""


class AttentionPooling(nn.Module):
    """Sums of the states, weighed by how well each fits learnt queries: softmax(V tanh(W states)).

    With one hop and a bias that of Yang et al. 2016 (equations 5 to 7); with several hops and none, that of Lin et al.
    2017 (equation 6).
    """

    def __init__(self, size: int, attention_size: int, hops: int = 1, *, bias: bool = True) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, attention_size, bias=bias)
        self.hops = nn.Linear(attention_size, hops, bias=False)

    def forward(self, states: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`states [rows, time, size]`, `lengths [rows]` → sums `[rows, hops, size]`, weights `[rows, hops, time]`.

        Weights past a row's length are exactly 0; each length is at least 1.
        """
        scores = self.hops(torch.tanh(self.hidden(states))).transpose(1, 2)
        weights = masked_softmax(scores, length_mask(lengths, states.shape[1]).unsqueeze(1))
        return weights @ states, weights


def pool(name: Literal["mean", "max"], states: Tensor, lengths: Tensor) -> Tensor:
    """The mean or the maximum over all real positions.

    `states [rows, time, size]`, zero past each row's length, `lengths [rows]`, each at least 1 → `[rows, size]`.
    """
    if name == "mean":
        return states.sum(dim=1) / lengths.unsqueeze(1)
    real = length_mask(lengths, states.shape[1]).unsqueeze(2)
    return states.masked_fill(~real, torch.finfo(states.dtype).min).amax(dim=1)
