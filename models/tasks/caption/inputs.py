"""What a model reads of pictures: their pixels, or features that a frozen encoder found in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from contract.images import Fit
from models.data.captions import Picture, read_pixels
from models.tasks.caption.features import FeatureCache, Features

Inputs = dict[str, Tensor]
References = tuple[str, ...]
"""All captions of a picture."""


class PictureInputs:
    """The pictures of a split as a model reads them; features must have been computed first."""

    def __init__(self, pictures: Sequence[Picture], fit: Fit) -> None:
        self.pictures = pictures
        self._fit = fit
        self._views: list[Features] = []

    def compute(self, cache: FeatureCache, views: int) -> None:
        """Have the features of every picture at hand, in so many views."""
        self._views = [cache.read(self.pictures, view) for view in range(views)]

    @property
    def computed(self) -> bool:
        """Whether there are features."""
        return bool(self._views)

    def references(self, indices: Sequence[int]) -> tuple[References, ...]:
        """The captions of some pictures."""
        return tuple(self.pictures[i].captions for i in indices)

    def features(self, indices: Sequence[int], views: Sequence[int]) -> Inputs:
        """`features [pictures, regions, channels]` of some pictures, each in one view."""
        chosen = [self._views[view][i] for i, view in zip(indices, views, strict=True)]
        return {"features": torch.from_numpy(np.stack(chosen).astype(np.float32))}

    def pixels(self, indices: Sequence[int], size: int, randoms: Sequence[np.random.Generator | None]) -> Inputs:
        """`pixels [pictures, size, size, 3]` of some pictures, each with its own source of variation or none."""
        return {"pixels": read_pixels([self.pictures[i] for i in indices], randoms, size, self._fit)}
