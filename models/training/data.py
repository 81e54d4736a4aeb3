"""The Lightning data module: a fresh, seeded plan of batches each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from torch import device as Device
from torch.utils.data import DataLoader

from contract.text import TextCodec
from models.data.batches import Batch, Epoch, Listed, collate, encode_pairs, plan_batches
from models.data.parallel import Pair, carve, read_pairs
from models.data.tokenizer import with_dropout
from models.registry import ConfigError
from models.training.config import DataConfig, Split, TrainConfig

VALIDATION_SCALE = 4
"""Validation batches may be larger: they keep no gradients."""


def read_split(data: DataConfig, root: Path, split: Split) -> list[Pair]:
    """The pairs of one split; validation is carved from the training set where the config names none."""
    if split == "train":
        pairs = read_pairs(data.train, root)
        return pairs if data.validation else carve(pairs)[0]
    if split == "validation" and data.validation is None:
        return carve(read_pairs(data.train, root))[1]
    files = data.validation if split == "validation" else data.test
    if files is None:
        raise ConfigError(f"the config names no {split} files (data.{split})")
    return read_pairs(files, root)


class PairData(L.LightningDataModule):
    """Training batches by tokens, reshuffled every epoch, and validation batches with their reference texts."""

    def __init__(
        self,
        train: list[Pair],
        validation: list[Pair],
        codecs: tuple[TextCodec, TextCodec],
        config: TrainConfig,
    ) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._codecs = codecs
        self._config = config
        self._max_length = config.data.max_length

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch:
        """The share of one process of one epoch's batches; the same for the same seed, number and rank."""
        source, target = (with_dropout(codec, self._config.tokenizer.dropout) for codec in self._codecs)
        pairs = encode_pairs(self._train, source, target, self._max_length)
        if not pairs:
            raise ConfigError(f"no training pair fits into data.max_length {self._max_length}")
        plan = plan_batches(pairs, self._config.training.batch_tokens, seed=self._config.seed * 1_000 + number)
        if len(plan) < world:
            raise ConfigError(f"{len(plan)} batches an epoch are too few for {world} processes; lower batch_tokens")
        return Epoch(pairs, target, plan, rank, world)

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        epoch = self.epoch(self.trainer.current_epoch, self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(epoch, batch_size=None)

    def val_dataloader(self) -> DataLoader[tuple[Batch, list[str]]]:
        """Every process decodes the whole set: it is small, and all then agree on the score."""
        source, target = self._codecs
        pairs = encode_pairs(self._validation, source, target, self._max_length)
        if len(pairs) != len(self._validation):
            missing = len(self._validation) - len(pairs)
            raise ConfigError(f"{missing} validation pairs are longer than data.max_length {self._max_length}")
        plan = plan_batches(pairs, VALIDATION_SCALE * self._config.training.batch_tokens, seed=0)
        special = {"pad": target.pad, "bos": target.bos, "eos": target.eos}
        batches = [
            (collate([pairs[i] for i in rows], **special), [self._validation[i][1] for i in rows]) for rows in plan
        ]
        return DataLoader(Listed(batches), batch_size=None)

    def transfer_batch_to_device(self, batch: Any, device: Device, dataloader_idx: int) -> Any:
        if isinstance(batch, Batch):
            return batch.to(device)
        return batch[0].to(device), batch[1]
