"""Gated convolutions over time, and those of a decoder, which attend over the source (Gehring et al. 2017).

"Convolutional Sequence to Sequence Learning". Sums of two terms are scaled by √½, which keeps their variance; weights
start at the variance that does the same for a product (section 3.5). The paper's weight normalisation is left out: Adam
takes steps of the same length however long a weight is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.attention.window import masked_softmax
from models.layers.dropout import Dropout

ROOT_HALF = math.sqrt(0.5)


class SourceMemory(NamedTuple):
    """What a decoder layer reads of the source.

    Attributes:
        keys: `[rows, source, embedding]`, what the encoder made of it.
        values: `[rows, source, embedding]`, its sum with the embedded source.
        mask: `[rows, 1, source]`, True at real positions.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor


def affine(input_size: int, output_size: int, gain: float = 1.0) -> nn.Linear:
    """An affine map of which the outputs have `gain` times the inputs' variance at the start."""
    linear = nn.Linear(input_size, output_size)
    nn.init.normal_(linear.weight, std=math.sqrt(gain / input_size))
    nn.init.zeros_(linear.bias)
    return linear


class GatedConvolution(nn.Module):
    """A convolution over time and a gated linear unit (Dauphin et al. 2017): one half of its outputs gates the other.

    One matrix reads the `kernel_size` inputs of a position side by side, oldest first: a product that is the same for
    a whole sequence and for one step, whose window holds the `kernel_size - 1` inputs before it.
    """

    def __init__(self, hidden_size: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dropout = Dropout(dropout)
        # A gate halves what it lets through, and dropout widens what is read.
        self.linear = affine(kernel_size * hidden_size, 2 * hidden_size, gain=4 * (1 - dropout))

    def forward(self, x: Tensor, before: int) -> Tensor:
        """Read every position's neighbours, zeros beyond the ends.

        Args:
            x: `[rows, time, hidden]`.
            before: how many of the neighbours stand before their position.

        Returns:
            the same shape as `x`.
        """
        after = self.kernel_size - 1 - before
        padded = F.pad(self.dropout(x), (0, 0, before, after))
        # The ends are counted from the back: sizes taken from a tensor would be frozen in the export.
        shifted = [padded[:, i : i + 1 - self.kernel_size or None] for i in range(self.kernel_size)]
        return F.glu(self.linear(torch.cat(shifted, dim=-1)), dim=-1)

    def step(self, x: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """One position of every row, of which all neighbours stand before it.

        `x [rows, 1, hidden]`, `window [rows, 1, (kernel_size - 1) · hidden]`, zeros at first → output like `x`, and
        the window of the next position.
        """
        inputs = torch.cat([window, x], dim=-1)
        return F.glu(self.linear(inputs), dim=-1), inputs[..., x.shape[-1] :]


class AttendingConvolution(nn.Module):
    """A decoder layer: a convolution over what is written, then dot-product attention over the source.

    Every layer attends (multi-step attention, section 3.3) and knows, by what the layer below handed it, where that
    one looked.
    """

    def __init__(self, hidden_size: int, embedding_size: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.convolution = GatedConvolution(hidden_size, kernel_size, dropout)
        self.query = affine(hidden_size, embedding_size)
        self.context = affine(embedding_size, hidden_size)

    def forward(self, x: Tensor, embedded: Tensor, memory: SourceMemory) -> tuple[Tensor, Tensor]:
        """All positions at once, each reading those before it.

        Args:
            x: `[rows, target, hidden]`.
            embedded: `[rows, target, embedding]`, the tokens themselves.
            memory: what is read of the source.

        Returns:
            the same shape as `x`, and weights `[rows, target, source]`.
        """
        read = self.convolution(x, before=self.convolution.kernel_size - 1)
        return self._attend(x, read, embedded, memory)

    def step(self, x: Tensor, window: Tensor, embedded: Tensor, memory: SourceMemory) -> tuple[Tensor, Tensor]:
        """One position of every row, its `window` as of `GatedConvolution.step` → output like `x`, next window."""
        read, window = self.convolution.step(x, window)
        return self._attend(x, read, embedded, memory)[0], window

    def _attend(self, x: Tensor, read: Tensor, embedded: Tensor, memory: SourceMemory) -> tuple[Tensor, Tensor]:
        query = (self.query(read) + embedded) * ROOT_HALF
        weights = masked_softmax(query @ memory.keys.transpose(1, 2), memory.mask)
        attended = (self.context(weights @ memory.values) + read) * ROOT_HALF
        return (attended + x) * ROOT_HALF, weights
