from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import images
from models.data.captions import CaptionTable, SplitNames, normalise_caption, read_captions, read_pixels
from models.data.lines import DataError, EmptySplitError

PICTURES = Path(__file__).parents[2] / "data" / "pictures"
PLACES = ("train.tar", "loose")
TABLE = CaptionTable(table="captions.tsv", unused=("unused",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog 's ball , red .", "a dog s ball red"),
        ('The man\u2019s T-shirt says "No.5" !', "the mans t shirt says no 5"),
        ("Cafe\u0301  \tau_lait", "caf\u00e9 au lait"),
        (" ... ", ""),
    ],
)
def test_captions_are_learnt_and_scored_without_case_and_punctuation(text: str, expected: str) -> None:
    assert normalise_caption(text) == expected


@given(st.text())
def test_what_is_normal_stays_so(text: str) -> None:
    once = normalise_caption(text)
    assert normalise_caption(once) == once
    assert once == " ".join(once.split())


def test_each_split_has_its_pictures_with_all_their_captions() -> None:
    splits = {split: read_captions(TABLE, PLACES, PICTURES, split) for split in ("train", "dev", "test")}
    assert {split: len(pictures) for split, pictures in splits.items()} == {"train": 12, "dev": 3, "test": 3}
    first = splits["train"][0]
    assert first.name == "shape00.jpg"
    assert first.captions == (
        "a yellow triangle on the left",
        "theres a yellow triangle on black ground",
        "the triangle yellow stands on the left of a black picture",
    )
    assert images.read_image(first.content).size == (48, 64)


def test_columns_and_splits_may_have_other_names(tmp_path: Path) -> None:
    rows = ["text\tfile\tpart", "One .\tshape12.jpg\ta", "Two .\tshape13.jpg\tb", "Three .\tshape12.jpg\ta"]
    (tmp_path / "t.tsv").write_text("\n".join(rows))
    columns = {"image": "file", "split": "part", "caption": "text"}
    table = CaptionTable(table="t.tsv", splits=SplitNames(train="a", validation="b"), **columns)
    (picture,) = read_captions(table, (str(PICTURES / "loose"),), tmp_path, "a")
    assert (picture.name, picture.captions) == ("shape12.jpg", ("one", "three"))


def test_a_table_may_have_no_splits(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("image\tcaption\nshape12.jpg\tOne .\nshape13.jpg\tTwo .\nshape12.jpg\tThree .\n")
    places = (str(PICTURES / "loose"),)
    found = read_captions(CaptionTable(table="t.tsv", split=None), places, tmp_path)
    assert [picture.captions for picture in found] == [("one", "three"), ("two",)]
    with pytest.raises(DataError, match=r"t\.tsv:1: no column 'split'; columns: image, caption"):
        read_captions(CaptionTable(table="t.tsv"), places, tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("shape12.jpg\ttrian\tA .", r"t\.tsv:3: split 'trian' is none of train, dev, test; correct it"),
        ("shape12.jpg\ttrain", r"t\.tsv:3: 2 columns, the first line names 3"),
        ("shape12.jpg\ttrain\t . ", r"t\.tsv:3: the caption ' \. ' has no words; write some or leave the line out"),
        ("shape99.jpg\ttrain\tA .", r"t\.tsv:3: no picture 'shape99\.jpg' in \..*; add it to data\.images"),
    ],
)
def test_a_fault_of_the_table_names_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "t.tsv").write_text(f"image\tsplit\tcaption\nshape13.jpg\ttrain\tA .\n{row}\n")
    (tmp_path / "shape12.jpg").touch()
    (tmp_path / "shape13.jpg").touch()
    with pytest.raises(DataError, match=message):
        read_captions(CaptionTable(table="t.tsv"), (".",), tmp_path, "train")


def test_a_split_without_captions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("image\tsplit\tcaption\nshape13.jpg\ttrain\tA .\n")
    with pytest.raises(EmptySplitError, match=r"t\.tsv: no caption of split 'test'"):
        read_captions(CaptionTable(table="t.tsv"), (".",), tmp_path, "test")


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("image\tsplit\tcaption\nbroken.jpg\ttrain\tA .\n")
    content = (PICTURES / "loose" / "shape12.jpg").read_bytes()
    (tmp_path / "broken.jpg").write_bytes(content[: len(content) // 2])
    (picture,) = read_captions(CaptionTable(table="t.tsv"), (".",), tmp_path, "train")
    with pytest.raises(DataError, match=r"broken\.jpg: "):
        picture.pixels(16, "squeeze")


@pytest.mark.parametrize("fit", ["squeeze", "crop"])
def test_training_reads_a_picture_as_the_service_does(fit: images.Fit) -> None:
    pictures = read_captions(TABLE, PLACES, PICTURES, "train")
    pixels = read_pixels(pictures, [None] * len(pictures), 24, fit)
    assert pixels.shape == (12, 24, 24, 3)
    for picture, row in zip(pictures, pixels, strict=True):
        assert np.array_equal(row.numpy(), images.read_pixels(picture.content, 24, fit))


def test_variants_follow_their_seed_and_keep_most_of_the_picture() -> None:
    picture = read_captions(TABLE, PLACES, PICTURES, "train")[0]
    plain = picture.pixels(24, "squeeze")
    variants = [picture.pixels(24, "squeeze", np.random.default_rng(seed)) for seed in range(8)]
    assert np.array_equal(variants[3], picture.pixels(24, "squeeze", np.random.default_rng(3)))
    assert len({variant.tobytes() for variant in (plain, *variants)}) == 9
    # The yellow triangle is on the left; mirrored, on the right.
    sides = {bool(variant[:, :12, 0].sum() > variant[:, 12:, 0].sum()) for variant in variants}
    assert sides == {True, False}
    brightness = plain[..., :2].mean()
    assert all(0.5 < variant[..., :2].mean() / brightness < 2 for variant in variants)
