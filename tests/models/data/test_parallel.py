from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.lines import DataError
from models.data.parallel import LineAligned, Pair, Table, carve, corpus_name, read_corpora, read_pairs

ALIGNED = LineAligned(source="a.en", target="a.de")


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_bytes(text.encode())


def test_aligned_files_pair_line_by_line(tmp_path: Path) -> None:
    write(tmp_path, a_en="one\ntwo \r\n", a_de=" eins\nzwei")
    assert read_pairs(ALIGNED, tmp_path) == [("one", "eins"), ("two", "zwei")]


def test_gzipped_files_are_read_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(b"one\n"))
    write(tmp_path, a_de="eins\n")
    assert read_pairs(LineAligned(source="a.en.gz", target="a.de"), tmp_path) == [("one", "eins")]


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    write(tmp_path, a_en="one\u2028more\x85and\x0bmore\ntwo\n", a_de="eins\nzwei\n")
    assert read_pairs(ALIGNED, tmp_path) == [("one\u2028more\x85and\x0bmore", "eins"), ("two", "zwei")]


def test_a_table_is_read_by_column_names_or_indices(tmp_path: Path) -> None:
    write(tmp_path, t_tsv="id\ten\tde\n1\tone\teins\n2\ttwo\tzwei\n")
    expected = [("one", "eins"), ("two", "zwei")]
    assert read_pairs(Table(table="t.tsv", source="en", target="de"), tmp_path) == expected
    assert read_pairs(Table(table="t.tsv", source=1, target=2), tmp_path) == expected
    without_header = read_pairs(Table(table="t.tsv", source=1, target=2, header=False), tmp_path)
    assert without_header == [("en", "de"), *expected]


def test_corpora_are_read_one_after_the_other(tmp_path: Path) -> None:
    write(tmp_path, a_en="one\n", a_de="eins\n", t_tsv="en\tde\ntwo\tzwei\n")
    table = Table(table="t.tsv", source="en", target="de")
    assert read_corpora((table, ALIGNED), tmp_path) == [("two", "zwei"), ("one", "eins")]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (LineAligned(source="sets/captions/a.en.gz", target="sets/other/a.de.gz"), "captions"),
        (Table(table="sentences/t.tsv", source=0, target=1), "sentences"),
        (Table(table="t.tsv", source=0, target=1), "t.tsv"),
    ],
)
def test_a_corpus_goes_by_its_folder_or_its_file(files: LineAligned | Table, name: str) -> None:
    assert corpus_name(files) == name


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a_en": "one\ntwo\n", "a_de": "eins\n"}, r"a\.en has 2 lines, .*a\.de has 1: they must be aligned"),
        ({"a_en": "one\n \n", "a_de": "eins\nzwei\n"}, r"a\.en:2: the source is empty"),
        ({"a_en": "one\ntwo\n", "a_de": "eins\n\n"}, r"a\.de:2: the target is empty"),
        ({"a_en": "", "a_de": ""}, r"a\.en: no examples"),
        ({"a_en": "one\n"}, r"a\.de: cannot be read"),
    ],
)
def test_a_fault_of_aligned_files_names_file_and_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(DataError, match=message):
        read_pairs(ALIGNED, tmp_path)


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("en\tde\none\teins\ntwo\n", "en", r"t\.tsv:3: 1 columns, column 1 is asked for"),
        ("en\tde\none\teins\n", "fr", r"t\.tsv:1: no column 'fr'; columns: en, de"),
        ("en\tde\none\t\n", "en", r"t\.tsv:2: the target is empty"),
    ],
)
def test_a_fault_of_a_table_names_file_and_line(tmp_path: Path, text: str, source: str, message: str) -> None:
    write(tmp_path, t_tsv=text)
    with pytest.raises(DataError, match=message):
        read_pairs(Table(table="t.tsv", source=source, target="de"), tmp_path)


def test_text_that_is_not_utf8_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes(b"one\ntw\xff\n")
    write(tmp_path, a_de="eins\nzwei\n")
    with pytest.raises(DataError, match=r"a\.en:2: not UTF-8 \(invalid start byte at byte 2\)"):
        read_pairs(ALIGNED, tmp_path)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(b"one\n" * 100)[:-9])
    with pytest.raises(DataError, match=r"a\.en\.gz: cannot be read"):
        read_pairs(LineAligned(source="a.en.gz", target="a.en.gz"), tmp_path)


MANY: list[Pair] = [(f"sentence number {i}", f"Satz Nummer {i}") for i in range(1_000)]


def test_carving_holds_out_a_tenth() -> None:
    train, held_out = carve(MANY)
    assert sorted(train + held_out) == sorted(MANY)
    assert 70 < len(held_out) < 130


@settings(max_examples=10)
@given(st.randoms(use_true_random=False), st.integers(min_value=500, max_value=1_000))
def test_carving_does_not_depend_on_order_or_size(random: object, size: int) -> None:
    held_out = set(carve(MANY)[1])
    some = MANY[:size]
    random.shuffle(some)  # type: ignore[attr-defined]
    assert set(carve(some)[1]) == held_out & set(some)


def test_equal_sources_stay_on_one_side() -> None:
    train, held_out = carve([(source, f"{target} {copy}") for source, target in MANY for copy in range(2)])
    assert {source for source, _ in train}.isdisjoint(source for source, _ in held_out)


def test_too_few_examples_cannot_be_carved() -> None:
    with pytest.raises(DataError, match="1 examples are too few to carve a validation set from"):
        carve(MANY[:1])
