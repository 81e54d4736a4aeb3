"""Batches of a one-shot model's rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from contract.rows import Row
from contract.signature import Tensor
from models.registry import ConfigError
from models.training.data import RowData

IDS = Tensor(name="source_ids", dtype="int64", axes=("rows", "source"))
LABEL = Tensor(name="label", dtype="int64", axes=("rows",))
ROWS: list[Row] = [{"source_ids": np.full(length, length), "label": np.array(length % 2)} for length in (3, 1, 5, 2, 4)]


def data(train: list[Row], **changes: int) -> RowData:
    return RowData((IDS, LABEL), lambda _: train, ROWS, **{"batch_tokens": 8, "seed": 1} | changes)


def test_every_row_is_in_one_batch_of_an_epoch_within_the_budget() -> None:
    batches = list(data(ROWS).epoch(0))
    assert sorted(int(ids.max()) for batch in batches for ids in batch.tensors["source_ids"]) == [1, 2, 3, 4, 5]
    for batch in batches:
        ids, labels = batch.tensors["source_ids"], batch.tensors["label"]
        assert ids.numel() <= 8
        assert torch.equal(ids.max(dim=1).values % 2, labels)
        assert torch.equal(ids.ne(0).sum(dim=1), ids.max(dim=1).values)


def test_an_epoch_follows_its_number_and_may_have_rows_of_its_own() -> None:
    seen: list[int] = []

    def rows(epoch: int) -> list[Row]:
        seen.append(epoch)
        return ROWS[: 2 + epoch]

    source = RowData((IDS, LABEL), rows, ROWS, batch_tokens=8, seed=1)
    assert sum(len(batch.tensors["label"]) for batch in source.epoch(1)) == 3
    assert sum(len(batch.tensors["label"]) for batch in source.epoch(3)) == 5
    assert seen == [1, 3]
    many = [ROWS[0]] * 40
    orders = [[int(i) for i in data(many, batch_tokens=3).epoch(number)._plan[0]] for number in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_validation_rows_know_which_they_are() -> None:
    found = {}
    for batch in data(ROWS, batch_tokens=2).val_dataloader():
        for index, ids in zip(batch.tensors["index"].tolist(), batch.tensors["source_ids"], strict=True):
            found[index] = int(ids.max())
    assert found == {0: 3, 1: 1, 2: 5, 3: 2, 4: 4}


def test_no_rows_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="no training example fits"):
        data([]).epoch(0)
    with pytest.raises(ConfigError, match="too few for 9 processes"):
        data(ROWS).epoch(0, 0, 9)
