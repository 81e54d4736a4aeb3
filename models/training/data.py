"""Batches of a run: a fresh, seeded plan each epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, TypeVar

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from contract import signature
from contract.rows import Row, pad_rows
from models.data.batches import Epoch, Listed, plan_batches
from models.registry import ConfigError
from models.training.config import NoSplitError, Split

Files_co = TypeVar("Files_co", covariant=True)
Example = TypeVar("Example")

VALIDATION_SCALE = 4
"""Validation batches may be larger: they keep no gradients."""
SEEDS_PER_RUN = 1_000


class SplitFiles(Protocol[Files_co]):
    """The files of each split, as a config's data section names them."""

    @property
    def train(self) -> Files_co: ...

    @property
    def validation(self) -> Files_co | None: ...

    @property
    def test(self) -> Files_co | None: ...


def read_part(
    data: SplitFiles[Files_co],
    split: Split,
    read: Callable[[Files_co], list[Example]],
    carve: Callable[[list[Example]], tuple[list[Example], list[Example]]],
    section: str = "data",
) -> list[Example]:
    """The examples of one split; validation is carved from the training set where the config names none.

    Raises:
        NoSplitError: the config names no files for the split in that section.
        DataError: a file is missing or broken.
    """
    if split != "test" and data.validation is None:
        kept, held_out = carve(read(data.train))
        return kept if split == "train" else held_out
    files = {"train": data.train, "validation": data.validation, "test": data.test}[split]
    if files is None:
        raise NoSplitError(f"the config names no {split} files ({section}.{split})")
    return read(files)


class TrainingData(L.LightningDataModule, ABC):
    """The batches of a run, reshuffled every epoch; each process takes its own equal share."""

    @abstractmethod
    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch[Any]:
        """The share of one process of one epoch's batches; the same for the same seed, number and rank."""

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        epoch = self.epoch(self.trainer.current_epoch, self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(epoch, batch_size=None)


@dataclass(frozen=True)
class RowBatch:
    """Padded rows: tensors by name, `[rows, …]` each."""

    tensors: dict[str, Tensor]

    def to(self, device: torch.device) -> RowBatch:
        """The same batch on another device."""
        return RowBatch({name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()})


class RowData(TrainingData):
    """Rows of a one-shot model, inputs and labels side by side, in batches of similar sizes.

    Args:
        tensors: inputs and labels as a row holds them.
        train: the rows of an epoch, by its number; the same rows unless the task adds noise.
        validation: rows in the order in which the task wants them back.
        batch_tokens: bound of rows × the largest tensor's padded size.
        seed: of the shuffling.
    """

    def __init__(
        self,
        tensors: Sequence[signature.Tensor],
        train: Callable[[int], Sequence[Row]],
        validation: Sequence[Row],
        *,
        batch_tokens: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._tensors = tuple(tensors)
        self._train, self._validation = train, validation
        self._batch_tokens, self._seed = batch_tokens, seed

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch[RowBatch]:
        rows = self._train(number)
        if not rows:
            raise ConfigError("no training example fits into the limits of the config's data section")
        plan = self.plan(rows, self._seed * SEEDS_PER_RUN + number)
        return Epoch(plan, lambda indices: self._batch([rows[i] for i in indices]), rank, world)

    def plan(self, rows: Sequence[Row], seed: int) -> list[list[int]]:
        """Indices of each batch of training rows; the same for the same seed."""
        return plan_rows(rows, self._batch_tokens, seed)

    def val_dataloader(self) -> DataLoader[RowBatch]:
        """Every process reads the whole set: it is small, and all then agree on the score."""
        rows = self._validation
        budget = VALIDATION_SCALE * self._batch_tokens
        batches = [
            self._batch([{**rows[i], "index": torch.tensor(i).numpy()} for i in indices], INDEX)
            for indices in plan_rows(rows, budget, seed=0)
        ]
        return DataLoader(Listed(batches), batch_size=None)

    def _batch(self, rows: Sequence[Row], *more: signature.Tensor) -> RowBatch:
        padded = pad_rows((*self._tensors, *more), rows)
        return RowBatch({name: torch.from_numpy(array) for name, array in padded.items()})


INDEX = signature.Tensor(name="index", dtype="int64", axes=("rows",))
"""In validation batches: which row of the validation set each one is."""


def plan_rows(rows: Sequence[Row], batch_tokens: int, seed: int) -> list[list[int]]:
    """Batches of rows of similar sizes, by their largest tensor: at most `batch_tokens` in a batch, padding counted."""
    largest = [max(row.values(), key=lambda array: (array.ndim, array.size)).shape for row in rows]
    return plan_batches(largest, batch_tokens, seed, padded=prod)
