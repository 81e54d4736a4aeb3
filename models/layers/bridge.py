"""From an encoder's final state to a decoder's initial one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.layers.recurrent import PARTS, Cell, LayerState


class Bridge(nn.Module):
    """Each decoder layer starts from the encoder layer at its own height, counted from the top.

    Where sizes and depths agree the state is handed over as it is; else through an affine map of its own for each part
    and layer, with tanh for the hidden part, whose values lie in (-1, 1) (Bahdanau et al. 2015, appendix A.2.2). A
    decoder deeper than its encoder starts its lower layers from the encoder's first. With `mapped` nothing is handed
    over as it is: where what stands for the final state is of another kind.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        encoder_layers: int,
        encoder_size: int,
        decoder_layers: int,
        decoder_size: int,
        mapped: bool = False,
    ) -> None:
        super().__init__()
        self.sources = [max(encoder_layers - decoder_layers + layer, 0) for layer in range(decoder_layers)]
        handed_over = not mapped and encoder_layers == decoder_layers and encoder_size == decoder_size
        self.maps = nn.ModuleList(
            nn.ModuleDict({part: nn.Linear(encoder_size, decoder_size) for part in PARTS[cell]})
            for _ in range(0 if handed_over else decoder_layers)
        )

    def forward(self, final: Sequence[LayerState]) -> list[LayerState]:
        """The encoder's final state, parts `[rows, encoder]` → the decoder's initial state, parts `[rows, decoder]`."""
        if not self.maps:
            return list(final)
        return [self._map(maps, final[source]) for maps, source in zip(self.maps, self.sources, strict=True)]

    @staticmethod
    def _map(maps: nn.Module, state: LayerState) -> LayerState:
        assert isinstance(maps, nn.ModuleDict)
        mapped: dict[str, Tensor] = {
            part: layer(value) for (part, layer), value in zip(maps.items(), state, strict=True)
        }
        return tuple(torch.tanh(value) if part == "hidden" else value for part, value in mapped.items())
