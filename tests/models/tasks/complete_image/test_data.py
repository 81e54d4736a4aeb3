"""Pictures in batches."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
import torch

from contract.pixels import BOS_ID
from models.registry import ConfigError
from models.tasks.complete_image.config import PixelConfig
from models.tasks.complete_image.data import Pictures, PixelBatch, PixelBatches, read_split
from tests.models.tasks.complete_image.drawings import PICTURES, pixel_config


def batches(config: PixelConfig) -> PixelBatches:
    train, validation = (read_split(config.data, PICTURES, split) for split in ("train", "validation"))
    return PixelBatches(train, validation, config)


def rows(found: list[PixelBatch]) -> list[tuple[int, ...]]:
    return [tuple(row) for batch in found for row in batch.labels.tolist()]


def test_a_picture_starts_with_bos_and_is_told_from_what_came_before() -> None:
    config = pixel_config()
    pictures = Pictures(read_split(config.data, PICTURES, "validation"), config.data)
    batch = pictures.batch([0, 1], [False, False])
    assert batch.inputs == {}
    assert batch.labels.shape == (2, 192)
    assert batch.target_ids[:, 0].tolist() == [BOS_ID] * 2
    assert torch.equal(batch.target_ids[:, 1:], batch.labels[:, :-1])
    pixels = read_split(config.data, PICTURES, "validation")[1].pixels(8, "squeeze")
    assert batch.labels[1].tolist() == pixels.flatten().tolist()


def test_a_mirrored_picture_is_mirrored_in_every_size() -> None:
    config = pixel_config("upscale")
    pictures = Pictures(read_split(config.data, PICTURES, "validation"), config.data)
    plain, mirrored = pictures.batch([2], [False]), pictures.batch([2], [True])
    assert plain.inputs["pixels"].shape == (1, 4, 4, 3)
    assert torch.equal(mirrored.inputs["pixels"], plain.inputs["pixels"].flip(2))
    assert torch.equal(mirrored.labels.view(8, 8, 3), plain.labels.view(8, 8, 3).flip(1))


def test_every_epoch_has_every_picture_in_another_order_mirrored_or_not() -> None:
    data = batches(pixel_config(data={"mirror": False}))
    first, again, second = (list(data.epoch(number)) for number in (0, 0, 1))
    assert [len(batch.labels) for batch in first] == [4, 4, 4]
    assert rows(first) == rows(again) != rows(second)
    assert sorted(rows(first)) == sorted(rows(second))
    mirroring = batches(pixel_config())
    assert 0 < len(set(rows(list(mirroring.epoch(0)))) & set(rows(first))) < 12


def test_an_epoch_is_judged_on_a_part_evenly_taken_as_it_is() -> None:
    (batch,) = batches(pixel_config(data={"judged": 3})).val_dataloader()
    whole = Pictures(read_split(pixel_config().data, PICTURES, "validation"), pixel_config().data)
    assert torch.equal(batch.labels, whole.batch([0, 2, 4], [False] * 3).labels)


def test_without_a_validation_split_a_tenth_of_the_training_pictures_is_one() -> None:
    data = pixel_config(data={"train": ["train.tar", "loose"], "validation": None}).data
    train, validation = (read_split(data, PICTURES, split) for split in ("train", "validation"))
    assert len(train) + len(validation) == 18
    assert set(map(str, train)).isdisjoint(map(str, validation))


def test_the_validation_split_is_the_same_wherever_the_data_folder_lies(tmp_path: Path) -> None:
    data = pixel_config(data={"train": ["train.tar", "loose"], "validation": None}).data
    moved = Path(copytree(PICTURES, tmp_path / "elsewhere"))
    here, there = (read_split(data, root, "validation") for root in (PICTURES, moved))
    assert [file.read() for file in here] == [file.read() for file in there]


def test_a_batch_holds_a_picture() -> None:
    with pytest.raises(ConfigError, match="batch_tokens 191 is less than one picture has: 192"):
        batches(pixel_config(training={"batch_tokens": 191}))
    with pytest.raises(ConfigError, match="names no test files"):
        read_split(pixel_config().data, PICTURES, "test")
