from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contract.tunes import FIELDS, Tune
from models.data.characters import learn_characters
from models.data.lines import DataError
from models.registry import ConfigError
from models.tasks.generate.books import read_book
from models.tasks.generate.config import WrittenData
from tests.models.tasks.generate.runs import DATA, TEXT, TUNES


def data_of(fields: dict[str, Any], **changes: Any) -> WrittenData:
    return WrittenData.model_validate(fields | changes)


def test_tunes_end_and_are_read_whole_where_they_are_judged() -> None:
    book = read_book(data_of(TUNES), DATA, "validation")
    codec = learn_characters(book.texts)
    sequences = book.fixed(codec)
    assert len(sequences) == 12
    assert [codec.decode(ids) for ids in sequences] == list(book.texts)
    assert {ids[-1] for ids in sequences} == {codec.eos}


def test_the_fields_of_a_tune_come_in_every_order() -> None:
    book = read_book(data_of(TUNES), DATA, "train")
    codec = learn_characters(book.texts)
    drawn = [codec.decode(ids) for ids in book.drawn(codec, np.random.default_rng(1))]
    assert [Tune.parse(text) for text in drawn] == [Tune.parse(text) for text in book.texts]
    assert {tuple(Tune.parse(text).fields) for text in drawn} == {
        ("M", "L", "K"), ("M", "K", "L"), ("L", "M", "K"), ("L", "K", "M"), ("K", "M", "L"), ("K", "L", "M"),
    }  # fmt: skip
    fixed = read_book(data_of(TUNES, shuffle_fields=False), DATA, "train").drawn(codec, np.random.default_rng(1))
    assert {tuple(Tune.parse(codec.decode(ids)).fields) for ids in fixed} == {FIELDS}


def test_tunes_that_are_too_long_are_not_trained_on() -> None:
    book = read_book(data_of(TUNES), DATA, "train")
    codec = learn_characters(book.texts)
    sizes = sorted(map(len, book.fixed(codec)))
    half = read_book(data_of(TUNES, max_length=sizes[30]), DATA, "train")
    assert max(map(len, half.drawn(codec, np.random.default_rng(1)))) == sizes[30]
    assert max(map(len, half.fixed(codec))) == sizes[-1]


def test_a_text_is_read_in_windows_from_another_place_every_epoch() -> None:
    text = (DATA / "parallel" / "train.en").read_text("utf-8")
    book = read_book(data_of(TEXT), DATA, "train")
    assert list(book.texts) == [text[: round(0.75 * len(text))]]
    codec = learn_characters([text])
    windows = [codec.decode(ids) for ids in book.fixed(codec)]
    assert "".join(windows) == book.texts[0]
    assert {len(window) for window in windows[:-1]} == {20}
    starts = set()
    for seed in range(4):
        drawn = [codec.decode(ids) for ids in book.drawn(codec, np.random.default_rng(seed))]
        assert {len(window) for window in drawn} == {20}
        assert "".join(drawn) in book.texts[0]
        starts.add(book.texts[0].index(drawn[0]))
    assert len(starts) > 1
    assert max(starts) < 20


def test_parts_of_a_text_are_all_of_it() -> None:
    parts = [read_book(data_of(TEXT), DATA, split).texts[0] for split in ("train", "validation")]
    assert "".join(parts) == (DATA / "parallel" / "train.en").read_text("utf-8")


def test_validation_tunes_are_carved_where_none_are_named() -> None:
    data = data_of({"train": {"tunes": "tunes/train.abc"}})
    train, held_out = (read_book(data, DATA, split).texts for split in ("train", "validation"))
    assert len(train) + len(held_out) == 60
    assert not {*train} & {*held_out}
    with pytest.raises(ConfigError, match="no test files"):
        read_book(data, DATA, "test")


def test_an_empty_part_of_a_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("ab\n")
    short = data_of({}, train={"text": "short.txt", "part": [0, 0.1]}, validation={"text": "short.txt"})
    with pytest.raises(DataError, match=r"short.txt: there is no text in the part \[0.0, 0.1\]"):
        read_book(short, tmp_path, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": {"text": "a"}}, "all be tunes, or all text"),
        ({"train": {"text": "a"}, "validation": None}, "validation of running text is named"),
        ({"train": {"text": "a", "part": [0.5, 0.5]}}, "must rise within 0 and 1"),
        ({"train": {"text": "a", "part": [0.5, 1.5]}}, "must rise within 0 and 1"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        data_of(TUNES, **changes)
