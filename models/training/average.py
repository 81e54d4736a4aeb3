"""A moving average of the weights, which is what is validated, chosen and exported."""

from __future__ import annotations

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

EARLY = 10


class MovingAverage(WeightAveraging):
    """Exponential moving average (Polyak and Juditsky 1992) that follows quickly while it is young.

    The decay after n steps is `min(decay, (1 + n) / (10 + n))`, so that the first epochs are not an average with the
    random start.
    """

    def __init__(self, decay: float) -> None:
        def average(kept: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
            rate = min(decay, (1 + int(updates)) / (EARLY + int(updates)))
            torch._foreach_lerp_(kept, current, 1 - rate)

        super().__init__(use_buffers=False, multi_avg_fn=average)
