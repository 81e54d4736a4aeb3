from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.labelled import (
    Labelled,
    LabelledTable,
    carve,
    comparable,
    read_labelled,
    without,
    without_parts,
)
from models.data.lines import DataError

TSV, CSV = LabelledTable(table="t.tsv"), LabelledTable(table="t.csv")


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode())


def labelled(*texts: str) -> list[Labelled]:
    return [Labelled(text, "any") for text in texts]


def test_columns_are_found_by_name_or_by_index(tmp_path: Path) -> None:
    write(tmp_path, "t.tsv", "label\tid\ttext\n1\t7\t good film \n0\t8\tbad\n")
    expected = [Labelled("good film", "1"), Labelled("bad", "0")]
    assert read_labelled(TSV, tmp_path, {}) == expected
    assert read_labelled(LabelledTable(table="t.tsv", text=2, label=0), tmp_path, {}) == expected
    without_header = LabelledTable(table="t.tsv", text=2, label=0, header=False)
    assert read_labelled(without_header, tmp_path, {}) == [Labelled("text", "label"), *expected]


def test_labels_get_their_names_and_texts_their_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(b"text\tlabel\nOne.<br /><br />Two.<br />\t1\n"))
    table = LabelledTable(table="t.tsv.gz")
    assert read_labelled(table, tmp_path, {"0": "bad", "1": "good"}, "<br />") == [Labelled("One.\n\nTwo.", "good")]


def test_only_newlines_end_a_row(tmp_path: Path) -> None:
    write(tmp_path, "t.tsv", "text\tlabel\none\u2028more\x85and\x0bmore\t1\r\n")
    assert read_labelled(TSV, tmp_path, {}) == [Labelled("one\u2028more\x85and\x0bmore", "1")]


def test_quotes_mean_something_in_commas_and_nothing_in_tabs(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", 'text,label\n"He said ""no"", twice",1\n"two\nlines",0\nplain,1\n')
    assert read_labelled(CSV, tmp_path, {}) == [
        Labelled('He said "no", twice', "1"),
        Labelled("two\nlines", "0"),
        Labelled("plain", "1"),
    ]
    write(tmp_path, "t.tsv", 'text\tlabel\n"He said\t1\n')
    assert read_labelled(TSV, tmp_path, {}) == [Labelled('"He said', "1")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text\tlabel\nfilm\t1\nfilm\n", r"t\.tsv:3: 1 columns, column 1 is asked for"),
        ("text\tlabel\n \t1\n", r"t\.tsv:2: the text is empty"),
        ("text\tlabel\nfilm\t \n", r"t\.tsv:2: the label is empty"),
        ("text\tlabel\nfilm\t2\n", r"t\.tsv:2: label '2' is not one of 0, 1"),
        ("words\tlabel\nfilm\t1\n", r"t\.tsv:1: no column 'text'; columns: words, label"),
        ("text\tlabel\n", r"t\.tsv: no examples"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path, rows: str, message: str) -> None:
    write(tmp_path, "t.tsv", rows)
    with pytest.raises(DataError, match=message):
        read_labelled(TSV, tmp_path, {"0": "bad", "1": "good"})


def test_a_broken_quotation_is_named_by_the_line_it_begins_on(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", 'text,label\n"two\nlines",1\nfilm,1\n"never closed,1\nfilm,0\n')
    with pytest.raises(DataError, match=r"t\.csv:5: not a row of comma-separated cells"):
        read_labelled(CSV, tmp_path, {})


def test_a_short_row_after_a_quoted_line_break_keeps_its_number(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", 'text,label\n"two\nlines",1\nfilm\n')
    with pytest.raises(DataError, match=r"t\.csv:4: 1 columns, column 1 is asked for"):
        read_labelled(CSV, tmp_path, {})


def test_texts_are_compared_without_spacing_punctuation_and_case() -> None:
    assert comparable("It 's GOOD , no ?") == comparable("it's good... No!") == "itsgoodno"
    assert comparable("酒店 很好。") == comparable("酒店很好!") == "酒店很好"
    assert comparable("bad") != comparable("good")


MANY = [Labelled(f"Sentence number {i} .", str(i % 2)) for i in range(1_000)]


def test_carving_holds_out_a_tenth_and_keeps_comparable_texts_together() -> None:
    copies = [Labelled(example.text.upper().replace(" .", "!"), example.label) for example in MANY]
    train, held_out = carve(MANY + copies)
    assert 140 < len(held_out) < 260
    assert {comparable(text) for text, _ in train}.isdisjoint(comparable(text) for text, _ in held_out)


def test_what_another_set_holds_too_is_left_out() -> None:
    assert without(labelled("Good film.", "bad film"), labelled("good film !")) == labelled("bad film")


def test_phrases_of_held_out_texts_alone_are_left_out() -> None:
    kept, held_out = labelled("a good film , it is"), labelled("a truly bad film", "it is dull")
    phrases = labelled("good film", "bad film", "film", "It is", "truly", "dull", "unheard of")
    assert without_parts(phrases, held_out, kept) == labelled("good film", "film", "It is", "unheard of")


@given(st.lists(st.text(st.sampled_from("ab ."), min_size=1), max_size=8))
def test_a_phrase_that_is_held_out_itself_never_stays_unless_it_is_kept_too(texts: list[str]) -> None:
    held_out, kept = labelled(*texts[::2]), labelled(*texts[1::2])
    whole = "\n".join(comparable(text) for text, _ in kept)
    for phrase in without_parts(held_out, held_out, kept):
        assert comparable(phrase.text) in whole
