"""Pictures of a run that learns to draw, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from contract.pixels import BOS_ID
from contract.preprocessing import CHANNELS
from models.data.batches import Epoch
from models.data.lines import carve
from models.data.pictures import PictureFile, find_pictures
from models.registry import ConfigError
from models.tasks.complete_image.config import PixelConfig, PixelData
from models.training.config import Split
from models.training.data import SEEDS_PER_RUN, VALIDATION_SCALE, TrainingData, read_part


@dataclass(frozen=True)
class PixelBatch:
    """Pictures as a model draws them.

    Attributes:
        inputs: what it draws them from: nothing, or `pixels [rows, source, source, 3]`.
        target_ids: `[rows, target]`, BOS and all intensities but the last.
        labels: `[rows, target]`, the intensities.
    """

    inputs: dict[str, Tensor]
    target_ids: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> PixelBatch:
        """The same batch on another device."""
        inputs = {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()}
        target_ids, labels = (tensor.to(device, non_blocking=True) for tensor in (self.target_ids, self.labels))
        return PixelBatch(inputs, target_ids, labels)


def read_split(data: PixelData, root: Path, split: Split) -> list[PictureFile]:
    """The pictures of one split, by name.

    Raises:
        ConfigError: the config names no such split.
        DataError: a place is missing or broken.
    """

    def read(places: tuple[str, ...]) -> list[tuple[str, PictureFile]]:
        return sorted(find_pictures(places, root).items())

    # Names, not paths: what is carved may not depend on where the data folder lies.
    named = read_part(data, split, read, lambda pictures: carve(pictures, key=lambda picture: picture[0]))
    return [file for _, file in named]


class Pictures:
    """Pictures as they are drawn, and as small ones to draw from: `[pictures, side, side, 3]` each."""

    def __init__(self, files: Sequence[PictureFile], data: PixelData) -> None:
        pixels = [[file.pixels(side, data.fit) for side in data.sides] for file in files]
        self._parts = [torch.from_numpy(np.stack(part)) for part in zip(*pixels, strict=True)]

    def __len__(self) -> int:
        return len(self._parts[0])

    def batch(self, indices: Sequence[int], mirrored: Sequence[bool]) -> PixelBatch:
        """Some pictures, each mirrored or not."""
        chosen = [part[list(indices)] for part in self._parts]
        flips = torch.tensor(mirrored)[:, None, None, None]
        target, *source = [torch.where(flips, part.flip(2), part) for part in chosen]
        labels = target.flatten(1).long()
        start = torch.full_like(labels[:, :1], BOS_ID)
        inputs = dict(zip(("pixels",), source, strict=False))
        return PixelBatch(inputs, torch.cat([start, labels[:, :-1]], dim=1), labels)


class PixelBatches(TrainingData):
    """Batches of whole pictures, reshuffled and mirrored anew every epoch; all pictures are kept in memory."""

    def __init__(self, train: Sequence[PictureFile], validation: Sequence[PictureFile], config: PixelConfig) -> None:
        super().__init__()
        self._config = config
        tokens, budget = CHANNELS * config.data.size**2, config.training.batch_tokens
        if (rows := budget // tokens) < 1:
            raise ConfigError(f"training.batch_tokens {budget} is less than one picture has: {tokens}")
        self._rows = rows
        judged = validation[:: max(1, len(validation) // config.data.judged)][: config.data.judged]
        self._train, self._judged = (Pictures(part, config.data) for part in (train, judged))

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch[PixelBatch]:
        random = np.random.default_rng(self._config.seed * SEEDS_PER_RUN + number)
        order = random.permutation(len(self._train)).tolist()
        mirrored = (random.random(len(order)) < self._config.data.mirror / 2).tolist()
        plan = [order[start : start + self._rows] for start in range(0, len(order), self._rows)]
        return Epoch(plan, lambda indices: self._train.batch(indices, [mirrored[i] for i in indices]), rank, world)

    def val_dataloader(self) -> DataLoader[PixelBatch]:
        """Every process reads the whole set: it is small, and all then agree on the score."""
        plan = plan_in_order(len(self._judged), VALIDATION_SCALE * self._rows)
        epoch = Epoch(plan, lambda indices: self._judged.batch(indices, [False] * len(indices)), rank=0, world=1)
        return DataLoader(epoch, batch_size=None)


def plan_in_order(count: int, rows: int) -> list[list[int]]:
    """Indices of each batch of at most `rows`, in order."""
    return [list(range(start, min(start + rows, count))) for start in range(0, count, rows)]
