"""Length-bucketed batches of token ids."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from contract.text import TextCodec
from models.data.parallel import Pair
from models.registry import ConfigError

Item = TypeVar("Item")

IdPair = tuple[list[int], list[int]]
"""Source ids closed by EOS, and target ids without special tokens."""


@dataclass(frozen=True)
class Batch:
    """Padded ids: `source_ids [rows, source]`, `source_lengths [rows]`, `target_ids` and `labels [rows, target]`.

    `target_ids` start with BOS; `labels` are the same tokens one step later, closed by EOS. Padding is id 0.
    """

    source_ids: Tensor
    source_lengths: Tensor
    target_ids: Tensor
    labels: Tensor

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What `encode` takes."""
        return {"source_ids": self.source_ids, "source_lengths": self.source_lengths}

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        tensors = (self.source_ids, self.source_lengths, self.target_ids, self.labels)
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in tensors))


def encode_pairs(pairs: list[Pair], source: TextCodec, target: TextCodec, max_length: int) -> list[IdPair]:
    """Ids of every pair whose two sides, with BOS or EOS, fit into `max_length` positions."""
    sources = source.encode_batch([text for text, _ in pairs])
    targets = target.encode_batch([text for _, text in pairs])
    fits = (pair for pair in zip(sources, targets, strict=True) if max(map(len, pair)) < max_length)
    return [([*left, source.eos], right) for left, right in fits]


def plan_batches(
    sizes: Sequence[tuple[int, ...]],
    batch_tokens: int,
    seed: int,
    padded: Callable[[tuple[int, ...]], int] = sum,
) -> list[list[int]]:
    """Indices of each batch of one epoch, at most `batch_tokens` a batch with padding counted.

    Args:
        sizes: of each example, the lengths that are padded, the one to sort by first.
        batch_tokens: bound of rows × padded size of one; a single example may exceed it.
        seed: examples of similar lengths share a batch; which of them do, and the order of batches, follow the seed.
        padded: the longest lengths → the padded size of one example: their sum where they are those of several
            sequences, their product where they are the axes of one tensor.
    """
    order = list(range(len(sizes)))
    rng = random.Random(seed)  # noqa: S311 shuffling keeps no secrets
    rng.shuffle(order)
    order.sort(key=sizes.__getitem__)  # stable: equal lengths stay shuffled
    batches: list[list[int]] = []
    longest: tuple[int, ...] = ()
    for i in order:
        longest = tuple(map(max, longest, sizes[i])) if batches else sizes[i]
        if not batches or (len(batches[-1]) + 1) * padded(longest) > batch_tokens:
            batches.append([])
            longest = sizes[i]
        batches[-1].append(i)
    rng.shuffle(batches)
    return batches


def pair_sizes(pairs: Sequence[IdPair]) -> list[tuple[int, ...]]:
    """What `plan_batches` needs to know of pairs: the length of the target with BOS or EOS, and of the source."""
    return [(len(target) + 1, len(source)) for source, target in pairs]


def collate(pairs: list[IdPair], *, pad: int, bos: int, eos: int) -> Batch:
    """One batch of pairs, padded to the longest on each side."""
    sources = [source for source, _ in pairs]
    target_ids, labels = shift_targets([target for _, target in pairs], pad=pad, bos=bos, eos=eos)
    return Batch(
        source_ids=_padded(sources, pad),
        source_lengths=torch.tensor([len(source) for source in sources]),
        target_ids=target_ids,
        labels=labels,
    )


def shift_targets(targets: list[list[int]], *, pad: int, bos: int, eos: int) -> tuple[Tensor, Tensor]:
    """What a generator reads (BOS first) and should write (closed by EOS), `[rows, target]` each, padded."""
    return shift_closed([[*ids, eos] for ids in targets], pad=pad, bos=bos)


def shift_closed(sequences: list[list[int]], *, pad: int, bos: int) -> tuple[Tensor, Tensor]:
    """What a generator reads (BOS first) and should write, `[rows, target]` each, padded: EOS where it is given."""
    return _padded([[bos, *ids[:-1]] for ids in sequences], pad), _padded(sequences, pad)


class Listed(Dataset[Item]):
    """A list as a data set."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        return self._items[index]


class Epoch(IterableDataset[Item]):
    """The batches of one epoch; of several processes, each takes its own equal share.

    Args:
        plan: indices of the examples of each batch.
        make: a batch of examples by their indices.
        rank: number of this process among `world`.
        world: number of processes.

    Raises:
        ConfigError: there are fewer batches than processes.
    """

    def __init__(self, plan: list[list[int]], make: Callable[[list[int]], Item], rank: int, world: int) -> None:
        if len(plan) < world:
            raise ConfigError(f"{len(plan)} batches an epoch are too few for {world} processes; lower batch_tokens")
        usable = len(plan) - len(plan) % world
        self._plan = plan[rank:usable:world]
        self._make = make

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[Item]:
        return map(self._make, self._plan)


def _padded(rows: list[list[int]], pad: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [pad] * (width - len(row)) for row in rows])
