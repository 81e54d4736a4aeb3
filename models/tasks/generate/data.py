"""What is written, as sequences of characters in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from contract.text import TextCodec
from models.data.batches import Epoch, Listed, plan_batches, shift_closed
from models.registry import ConfigError
from models.tasks.generate.books import Book, Ids
from models.tasks.generate.config import GenerateConfig
from models.training.data import SEEDS_PER_RUN, VALIDATION_SCALE, TrainingData


@dataclass(frozen=True)
class WrittenBatch:
    """Padded ids: `target_ids [rows, time]`, starting with BOS, and `labels`, the same tokens one step later."""

    target_ids: Tensor
    labels: Tensor

    @classmethod
    def of(cls, sequences: Ids, codec: TextCodec) -> Self:
        """A batch of sequences without BOS."""
        return cls(*shift_closed(sequences, pad=codec.pad, bos=codec.bos))

    def to(self, device: torch.device) -> WrittenBatch:
        """The same batch on another device."""
        return WrittenBatch(*(ids.to(device, non_blocking=True) for ids in (self.target_ids, self.labels)))


class WrittenSequences(TrainingData):
    """Training batches by tokens, drawn anew every epoch, and validation batches of the whole split."""

    def __init__(self, train: Book, validation: Book, codec: TextCodec, config: GenerateConfig) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._codec, self._config = codec, config

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch[WrittenBatch]:
        seed = self._config.seed * SEEDS_PER_RUN + number
        drawn = self._train.drawn(self._codec, np.random.default_rng(seed))
        if not drawn:
            raise ConfigError(
                f"nothing of the training split fits into data.max_length {self._config.data.max_length}, or fills it"
            )
        plan = plan_batches([(len(ids),) for ids in drawn], self._config.training.batch_tokens, seed)
        return Epoch(plan, lambda chosen: WrittenBatch.of([drawn[i] for i in chosen], self._codec), rank, world)

    def val_dataloader(self) -> DataLoader[WrittenBatch]:
        """Every process reads the whole set: it is small, and all then agree on the score."""
        return DataLoader(Listed(judged_batches(self._validation, self._codec, self._config)), batch_size=None)


def judged_batches(book: Book, codec: TextCodec, config: GenerateConfig) -> list[WrittenBatch]:
    """All of a split, in batches."""
    sequences = book.fixed(codec)
    plan = plan_batches([(len(ids),) for ids in sequences], VALIDATION_SCALE * config.training.batch_tokens, seed=0)
    return [WrittenBatch.of([sequences[i] for i in chosen], codec) for chosen in plan]
