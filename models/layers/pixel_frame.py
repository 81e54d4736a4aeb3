"""What stands around the layers of a network that draws pictures: tokens in, intensities out, a pixel at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contract.preprocessing import CHANNELS
from contract.signature import State
from models.architecture import Tensors
from models.layers.pixels import ChannelReadout, PixelEmbedding

PREVIOUS, KNOWN = "previous_pixel", "known_channels"


class Seen(NamedTuple):
    """Tokens as the layers and the readout see them.

    Attributes:
        before: `[rows, pixels, hidden]`, the pixel before each one, the sum of its channels' embeddings.
        known: `[rows, pixels, channels, hidden]`, of each pixel what is known when a channel is to be told: the sum of
            the embeddings of its channels before.
    """

    before: Tensor
    known: Tensor


class PixelFrame(nn.Module):
    """Embeds tokens and places, and reads out the intensities of a pixel's channels.

    A token at position p tells a channel of the pixel before p's (p / 3, rounded down) or, where p is no multiple of 3,
    of the same. Its states keep both over the steps at which a pixel's channels are told.
    """

    def __init__(self, image_size: int, hidden_size: int, feed_forward_size: int, dropout: float) -> None:
        super().__init__()
        self.image_size = image_size
        self.hidden_size = hidden_size
        self.embedding = PixelEmbedding(hidden_size)
        self.row_positions = nn.Parameter(torch.randn(image_size, hidden_size) * 0.1)
        self.column_positions = nn.Parameter(torch.randn(image_size, hidden_size) * 0.1)
        self.readout = ChannelReadout(hidden_size, feed_forward_size, dropout)

    @property
    def positions(self) -> int:
        """Tokens of a picture."""
        return CHANNELS * self.image_size**2

    def states(self, *, prompted: bool) -> tuple[State, ...]:
        """The states, as the signature lists them; `prompted`: they start from what `encode` read."""
        return tuple(
            State(name=name, dtype="float32", axes=("rows", 1, self.hidden_size), initial=name if prompted else None)
            for name in (PREVIOUS, KNOWN)
        )

    def see(self, token_ids: Tensor, pixels: int) -> Seen:
        """Tokens `[rows, time]`, BOS first, of so many pixels; of a last one that is not whole, what there is."""
        time = token_ids.shape[1]
        embedded = self.embedding(token_ids, torch.arange(time, device=token_ids.device))
        # The pixel before q has its channels at 3q - 2 … 3q, and q itself tells what is known of it from 3q + 1 on.
        padded = F.pad(embedded, (0, 0, CHANNELS - 1, CHANNELS * pixels - time))
        before = padded[:, :-2].unflatten(1, (pixels, CHANNELS)).sum(dim=2)
        own = padded[:, 2:].unflatten(1, (pixels, CHANNELS))
        first, second = own[:, :, 1], own[:, :, 2]
        return Seen(before, torch.stack([torch.zeros_like(first), first, first + second], dim=2))

    def see_step(self, token_ids: Tensor, position: Tensor, states: Tensors) -> dict[str, Tensor]:
        """The states after a token of every row, `token_ids [rows]` at `position [rows]`."""
        known = states[KNOWN] + self.embedding(token_ids.unsqueeze(1), position.unsqueeze(1))
        whole = (position % CHANNELS == 0)[:, None, None]
        return {
            PREVIOUS: torch.where(whole, known, states[PREVIOUS]),
            KNOWN: torch.where(whole, torch.zeros_like(known), known),
        }

    def after(self, seen: Seen, lengths: Tensor) -> dict[str, Tensor]:
        """The states after the first `lengths [rows]` tokens, perhaps none: where the steps go on."""
        rows = torch.arange(lengths.shape[0], device=lengths.device)
        last = (lengths - 1).clamp(min=0)
        read = (lengths > 0)[:, None]
        states = {PREVIOUS: seen.before[rows, last // CHANNELS], KNOWN: seen.known.flatten(1, 2)[rows, last]}
        return {name: torch.where(read, state, 0.0).unsqueeze(1) for name, state in states.items()}

    def place(self, x: Tensor, pixel: Tensor) -> Tensor:
        """Adds where each pixel lies: `x [rows, time, hidden]`, `pixel [time]` or `[rows, time]` → shape of `x`."""
        rows, columns = pixel // self.image_size, pixel % self.image_size
        return x + F.embedding(rows, self.row_positions) + F.embedding(columns, self.column_positions)

    def logits(self, hidden: Tensor, known: Tensor) -> Tensor:
        """Of every channel: `hidden [rows, pixels, hidden]`, `known` as in `Seen` → `[rows, 3 · pixels, 256]`."""
        channels = torch.arange(CHANNELS, device=hidden.device)
        return self.readout(hidden.unsqueeze(2), known, channels).flatten(1, 2)

    def logits_step(self, hidden: Tensor, known: Tensor, position: Tensor) -> Tensor:
        """Of the channel at `position [rows]`: `hidden` and `known [rows, 1, hidden]` → `[rows, 256]`."""
        channel = (position % CHANNELS).unsqueeze(1)
        return self.readout(hidden, known, channel).squeeze(1)
