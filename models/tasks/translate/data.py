"""Parallel text of a translation run, in batches."""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import DataLoader

from models.data.batches import Batch, Epoch, Listed, collate, encode_pairs, pair_sizes, plan_batches
from models.data.parallel import Pair, carve, read_corpora
from models.data.tokenizer import with_dropout
from models.registry import ConfigError
from models.tasks.translate.codecs import Codecs
from models.tasks.translate.config import ParallelData, TranslateConfig
from models.training.config import Split
from models.training.data import SEEDS_PER_RUN, VALIDATION_SCALE, TrainingData, read_part


def read_split(data: ParallelData, root: Path, split: Split) -> list[Pair]:
    """The pairs of one split, corpus after corpus; validation is carved from training where the config names none."""
    pairs = read_part(data, split, lambda corpora: read_corpora(corpora, root), carve)
    if split != "train" or not data.unseen:
        return pairs
    held_out = [corpora for corpora in (data.validation, data.test) if corpora is not None]
    known = {side for corpora in held_out for pair in read_corpora(corpora, root) for side in pair}
    return [pair for pair in pairs if known.isdisjoint(pair)]


class PairData(TrainingData):
    """Training batches by tokens, reshuffled every epoch, and validation batches with their reference texts."""

    def __init__(self, train: list[Pair], validation: list[Pair], codecs: Codecs, config: TranslateConfig) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._codecs = codecs
        self._config = config
        self._max_length = config.data.max_length
        target = codecs.target
        self._special = {"pad": target.pad, "bos": target.bos, "eos": target.eos}

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch[Batch]:
        source = with_dropout(self._codecs.source, self._config.tokenizer.dropout)
        target = with_dropout(self._codecs.target, self._config.tokenizer.dropout)
        pairs = encode_pairs(self._train, source, target, self._max_length)
        if not pairs:
            raise ConfigError(f"no training pair fits into data.max_length {self._max_length}")
        seed = self._config.seed * SEEDS_PER_RUN + number
        plan = plan_batches(pair_sizes(pairs), self._config.training.batch_tokens, seed)
        return Epoch(plan, lambda indices: collate([pairs[i] for i in indices], **self._special), rank, world)

    def val_dataloader(self) -> DataLoader[tuple[Batch, list[str]]]:
        """Every process decodes the whole set: it is small, and all then agree on the score."""
        pairs = encode_pairs(self._validation, self._codecs.source, self._codecs.target, self._max_length)
        if len(pairs) != len(self._validation):
            missing = len(self._validation) - len(pairs)
            raise ConfigError(f"{missing} validation pairs are longer than data.max_length {self._max_length}")
        plan = plan_batches(pair_sizes(pairs), VALIDATION_SCALE * self._config.training.batch_tokens, seed=0)
        batches = [
            (collate([pairs[i] for i in rows], **self._special), [self._validation[i][1] for i in rows])
            for rows in plan
        ]
        return DataLoader(Listed(batches), batch_size=None)
