"""Local attention with predictive alignment (Luong et al. 2015, section 3.2, local-p)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.attention.window import Window, masked_softmax
from models.layers.exportable import length_mask


class PredictiveWindow(Window):
    """A window of ± `size` positions around a centre that the decoder's state predicts, weighted by a Gaussian.

    The centre is (source length - 1) · sigmoid(vᵀ tanh(W query)), which always lies on real positions; σ is size / 2.
    The Gaussian is applied after the softmax, so the weights do not sum to 1.
    """

    normalised = False

    def __init__(self, query_size: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.hidden = nn.Linear(query_size, query_size, bias=False)
        self.centre = nn.Linear(query_size, 1, bias=False)

    def forward(self, scores: Tensor, query: Tensor, position: Tensor, lengths: Tensor) -> Tensor:
        """See `Window.forward`."""
        source = scores.shape[-1]
        last = (lengths - 1).to(scores.dtype)[:, None, None]
        centre = last * torch.sigmoid(self.centre(torch.tanh(self.hidden(query))))
        distance = torch.arange(source, device=scores.device) - centre
        near = distance.abs() <= self.size
        weights = masked_softmax(scores, near & length_mask(lengths, source).unsqueeze(1))
        return weights * torch.exp(-2 * (distance / self.size) ** 2)
