"""Location-based attention (Luong et al. 2015, section 3.1): the scores of all positions are W query."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.onnx import is_in_onnx_export

from models.layers.attention.score import Score


class LocationScore(Score):
    """Scores from the decoder's state alone: row s of W scores source position s, whatever stands there.

    Raises:
        ValueError: the source is longer than `max_source_length`, for which there are no rows.
    """

    def __init__(self, query_size: int, max_source_length: int) -> None:
        super().__init__()
        self.max_source_length = max_source_length
        self.positions = nn.Linear(query_size, max_source_length, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """`query [rows, target, query]`, `keys [rows, source, …]` for its length → `[rows, target, source]`."""
        source = keys.shape[1]
        if not is_in_onnx_export() and source > self.max_source_length:
            raise ValueError(
                f"a source of {source} positions, location attention has scores for {self.max_source_length}: "
                "shorten the source or train with a larger max_source_length"
            )
        # A Gather rather than a slice: a slice would clip a source that is too long, a Gather refuses it.
        return self.positions(query).index_select(-1, torch.arange(source, device=query.device))
