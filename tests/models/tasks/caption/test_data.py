from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.registry import ConfigError
from models.tasks.caption import TASK
from models.tasks.caption.data import PictureData, read_split
from tests.models.tasks.caption.shapes import PICTURES, TABLE, caption_config


def data(**sections: dict[str, Any]) -> PictureData:
    config = caption_config(**sections)
    return TASK.data(config, TASK.learn(config, PICTURES), PICTURES)


class Plan:
    """What an epoch would train on, without the pictures: which, and the texts."""

    def __init__(self, source: PictureData, number: int, **share: int) -> None:
        self.batches: list[tuple[list[int], list[str]]] = []
        codec = source._codec

        def features(indices: list[int], views: list[int]) -> dict[str, Any]:
            self.views = getattr(self, "views", []) + views
            self.batches.append((indices, []))
            return {}

        source._train.features = features  # type: ignore[method-assign]
        for batch in source.epoch(number, **share):
            for row, label in zip(batch.target_ids.tolist(), batch.labels.tolist(), strict=True):
                length = label.index(codec.eos)
                assert row[0] == codec.bos
                assert row[1 : length + 1] == label[:length]
                assert set(label[length + 1 :]) <= {codec.pad}
                self.batches[-1][1].append(codec.decode(label))

    @property
    def texts(self) -> dict[int, list[str]]:
        """The captions of each picture, in the order of their rows."""
        found = {}
        for indices, texts in self.batches:
            count = len(texts) // len(indices)
            found |= {index: texts[place * count : (place + 1) * count] for place, index in enumerate(indices)}
        return found


def test_an_epoch_has_every_picture_with_its_captions() -> None:
    pictures = read_split(caption_config().data, PICTURES, "train")
    texts = Plan(data(training={"captions_per_picture": 3}), 0).texts
    assert sorted(texts) == list(range(12))
    assert all(sorted(texts[i]) == sorted(picture.captions) for i, picture in enumerate(pictures))


def test_fewer_captions_are_drawn_anew_and_missing_ones_are_said_again() -> None:
    source = data(training={"captions_per_picture": 2})
    drawn = [Plan(source, number).texts for number in range(8)]
    assert all(len(set(texts)) == 2 for texts in drawn[0].values())
    assert len({tuple(sorted(texts[0])) for texts in drawn}) == 3
    again = Plan(data(training={"captions_per_picture": 5}), 0).texts
    assert all(sorted(Counter(texts).values()) == [1, 2, 2] for texts in again.values())


def test_batches_are_bounded_by_the_tokens_of_all_captions() -> None:
    source = data(training={"captions_per_picture": 3, "batch_tokens": 150})
    sizes = [batch.labels.shape for batch in _without_pictures(source, 0)]
    assert all(rows * width <= 150 or rows == 3 for rows, width in sizes)
    assert max(rows for rows, _ in sizes) > 3


def _without_pictures(source: PictureData, number: int) -> list[Any]:
    source._train.features = lambda indices, views: {}  # type: ignore[method-assign]
    return list(source.epoch(number))


def test_an_epoch_follows_its_number_and_processes_share_it() -> None:
    source = data(data={"views": 3}, training={"batch_tokens": 130})
    first, again, second = Plan(source, 0), Plan(source, 0), Plan(source, 1)
    assert (first.batches, first.views) == (again.batches, again.views)
    assert first.batches != second.batches
    assert set(first.views) == {0, 1, 2}
    shares = [Plan(source, 0, rank=rank, world=2) for rank in range(2)]
    assert set(shares[0].texts).isdisjoint(shares[1].texts)
    assert len(shares[0].batches) == len(shares[1].batches)


def test_captions_that_are_too_long_are_left_out_of_training() -> None:
    lengths = [len(text.split()) for texts in Plan(data(data={"max_length": 10}), 0).texts.values() for text in texts]
    assert max(lengths) < 10  # a word is at least one token, and the end is one too
    everything = [len(text.split()) for texts in Plan(data(), 0).texts.values() for text in texts]
    assert max(everything) == 11
    with pytest.raises(ConfigError, match=r"no training caption fits into data\.max_length 2"):
        data(data={"max_length": 2}).epoch(0)


def test_without_splits_a_tenth_of_the_pictures_validates(tmp_path: Path) -> None:
    names = [f"p{number}.jpg" for number in range(200)]
    for name in names:
        (tmp_path / name).touch()
    rows = [f"{name}\tCaption {number} ." for number in range(2) for name in names]
    (tmp_path / "t.tsv").write_text("\n".join(["image\tcaption", *rows]))
    config = caption_config(data={"images": ["."], "captions": {"table": "t.tsv", "split": None}})
    train, validation = (read_split(config.data, tmp_path, split) for split in ("train", "validation"))
    assert sorted(picture.name for picture in train + validation) == sorted(names)
    assert 8 < len(validation) < 40
    assert all(picture.captions == ("caption 0", "caption 1") for picture in train + validation)
    with pytest.raises(ConfigError, match=r"the config names no test files \(data\.captions\.splits\.test\)"):
        read_split(config.data, tmp_path, "test")


def test_a_table_may_name_only_some_splits() -> None:
    config = caption_config(data={"captions": TABLE | {"splits": {"validation": None}, "unused": ["unused", "dev"]}})
    train, validation = (read_split(config.data, PICTURES, split) for split in ("train", "validation"))
    assert len(train) + len(validation) == 12
    assert {picture.name for picture in train}.isdisjoint(picture.name for picture in validation)
    assert len(read_split(config.data, PICTURES, "test")) == 3
