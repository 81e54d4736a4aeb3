from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.data.lines import DataError
from models.data.tagged import Columns, JsonLines, TaggedText, carve_tagged, labels, read_tagged

DATA = Path(__file__).parents[2] / "data" / "tagged"


def read_columns(folder: Path, text: str, **fields: object) -> list[TaggedText]:
    (folder / "a.conll").write_text(text, "utf-8")
    return read_tagged(Columns.model_validate({"columns": "a.conll", **fields}), folder)


def read_lines(folder: Path, *rows: object) -> list[TaggedText]:
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return read_tagged(JsonLines(jsonl="a.jsonl"), folder)


@pytest.mark.parametrize(
    "tags",
    [
        ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"],  # BIO
        ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC"],  # IOB1
        ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC"],  # BIOES
    ],
)
def test_columns_are_joined_to_a_text_with_spans(tmp_path: Path, tags: list[str]) -> None:
    words = ["Ada", "Bee", "saw", "Ulm", "New", "Bay"]
    (text,) = read_columns(tmp_path, "\n".join(f"{word} x {tag}" for word, tag in zip(words, tags, strict=True)))
    assert text.text == "Ada Bee saw Ulm New Bay"
    assert text.spans == (("PER", 0, 7), ("LOC", 12, 15), ("LOC", 16, 23))
    assert [text.text[start:end] for _, start, end in text.spans] == ["Ada Bee", "Ulm", "New Bay"]


def test_an_entity_of_another_label_begins_without_a_begin(tmp_path: Path) -> None:
    (text,) = read_columns(tmp_path, "Ada\tI-PER\nUlm\tI-LOC\n")
    assert text.spans == (("PER", 0, 3), ("LOC", 4, 7))


def test_columns_may_be_chosen_and_words_joined_without_spaces(tmp_path: Path) -> None:
    content = "1\tB-A\t京\n2\tI-A\t都\n\n\n3\tO\t人\n"
    first, second = read_columns(tmp_path, content, word=2, tag=1, joiner="")
    assert (first.text, first.spans) == ("京都", (("A", 0, 2),))
    assert (second.text, second.spans) == ("人", ())


def test_sentences_of_a_document_share_their_source(tmp_path: Path) -> None:
    sentences = read_columns(tmp_path, "-DOCSTART- O\n\na O\n\nb O\n\n-DOCSTART- O\n\nc O\n")
    assert [sentence.source for sentence in sentences] == ["a", "a", "c"]
    alone = read_columns(tmp_path, "a O\n\nb O\n")
    assert [sentence.source for sentence in alone] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a O\nb\n", r"a\.conll:2: the tag 'b' is neither O nor B-, I-, E- or S- with a label"),
        ("a O\nb X-LOC\n", r"a\.conll:2: the tag 'X-LOC' is neither"),
        ("a O\nb B-\n", r"a\.conll:2: the tag 'B-' is neither"),
        ("a\tO\n\tO\n", r"a\.conll:2: the word is empty"),
        ("\n\n", r"a\.conll: no examples"),
    ],
)
def test_a_broken_line_is_reported_with_its_number(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_columns(tmp_path, content)


def test_a_missing_column_is_reported_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.conll:3: 2 columns, column 2 is asked for as the tag"):
        read_columns(tmp_path, "a x O\n\nb O\n", tag=2)


def test_lines_hold_entities_as_the_service_replies(tmp_path: Path) -> None:
    entities = [
        {"label": "LOC", "start": 5, "end": 8, "text": "Ulm", "score": 0.9},
        {"label": "X", "start": 0, "end": 1},
    ]
    (text,) = read_lines(tmp_path, {"text": "🙂 in Ulm", "entities": entities})
    assert text.spans == (("X", 0, 1), ("LOC", 5, 8))


def test_lines_hold_entities_as_cluener_has_them(tmp_path: Path) -> None:
    label = {"name": {"小明": [[0, 1], [4, 5]]}, "city": {"明": [[1, 1]], "南": [[3, 3]]}}
    (text,) = read_lines(tmp_path, {"text": "小明在南小明", "label": label})
    assert text.spans == (("name", 0, 2), ("city", 3, 4), ("name", 4, 6))  # of those that overlap the longest


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "ab", "label": {"x": {"a": [[1, 1]]}}}, r"a\.jsonl:2: characters 1 to 2 are no x 'a' of this text"),
        ({"text": "ab", "entities": [{"label": "x", "start": 1, "end": 3}]}, "characters 1 to 3 are no x 'b'"),
        ({"text": "ab", "entities": [{"label": "x", "start": 1}]}, r"a\.jsonl:2: neither a list 'entities' nor"),
        ({"text": "ab"}, r"neither a list 'entities' nor 'label' as CLUENER has it \('label'\)"),
        ({"text": "ab", "label": [1]}, "neither a list 'entities' nor"),
        ({"text": " ", "entities": []}, r"a\.jsonl:2: not an object with a text"),
        (["ab"], "not an object with a text"),
    ],
)
def test_a_broken_object_is_reported_with_its_line(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_lines(tmp_path, {"text": "ok", "entities": []}, row)


def test_a_line_that_is_not_json_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:1: not JSON"):
        read_tagged(JsonLines(jsonl="a.jsonl"), tmp_path)


def test_carving_keeps_documents_whole() -> None:
    texts = read_tagged(Columns(columns="train.conll"), DATA)
    train, held_out = carve_tagged(texts)
    assert sorted([*train, *held_out], key=texts.index) == texts
    assert {text.source for text in train}.isdisjoint(text.source for text in held_out)


def test_labels_are_those_that_occur() -> None:
    assert labels(read_tagged(Columns(columns="test.conll"), DATA)) == ["LOC", "ORG", "PER"]
    assert labels(read_tagged(JsonLines(jsonl="train.jsonl"), DATA)) == ["address", "company", "name"]
