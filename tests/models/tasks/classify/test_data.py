"""Splits, limits and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.text import InputCodec
from models.data.input_tokenizer import InputTokenizerConfig, train_input_codec
from models.data.labelled import Labelled
from models.registry import ConfigError
from models.tasks.classify.config import LabelledData
from models.tasks.classify.data import ReadingVocabulary, encode_texts, label_names, read_split

CODEC = train_input_codec(["a good film . it is bad ,"], InputTokenizerConfig())


def data(**fields: Any) -> LabelledData:
    return LabelledData.model_validate({"train": {"table": "train.tsv"}} | fields)


def write(folder: Path, **tables: list[tuple[int, str]]) -> None:
    for name, rows in tables.items():
        lines = ["label\ttext", *(f"{label}\t{text}" for label, text in rows)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def texts(examples: list[Labelled]) -> set[str]:
    return {example.text for example in examples}


def test_validation_is_carved_from_training_where_there_is_none(tmp_path: Path) -> None:
    write(tmp_path, train=[(i % 2, f"film number {i}") for i in range(200)])
    train, validation = (texts(read_split(data(), tmp_path, split)) for split in ("train", "validation"))
    assert not train & validation
    assert len(train | validation) == 200
    assert 5 < len(validation) < 40
    named = data(validation={"table": "train.tsv"})
    assert texts(read_split(named, tmp_path, "train")) == texts(read_split(named, tmp_path, "validation"))


def test_more_material_enters_training_only_and_tells_nothing_of_validation(tmp_path: Path) -> None:
    sentences = [f"film number {'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}" for i in range(100)]
    write(tmp_path, train=list(enumerate(sentences)), more=[(1, text) for text in [*sentences, "film", "unheard of"]])
    config = data(more={"table": "more.tsv"})
    held_out = texts(read_split(config, tmp_path, "validation"))
    train = read_split(config, tmp_path, "train")
    assert held_out <= set(sentences)
    assert not texts(train) & held_out
    assert texts(train) == (set(sentences) - held_out) | {"film", "unheard of"}
    assert len(train) == 2 * (100 - len(held_out)) + 2


@pytest.mark.parametrize("drop", [True, False])
def test_what_evaluation_holds_can_be_left_out_of_training(tmp_path: Path, drop: bool) -> None:
    write(
        tmp_path,
        train=[(0, "good film"), (1, "bad film"), (1, "dull film")],
        val=[(0, "Good film!")],
        test=[(1, "Dull , film")],
    )
    config = data(validation={"table": "val.tsv"}, test={"table": "test.tsv"}, drop_leaked=drop)
    kept = {"bad film"} if drop else {"good film", "bad film", "dull film"}
    assert texts(read_split(config, tmp_path, "train")) == kept
    assert texts(read_split(config, tmp_path, "validation")) == {"Good film!"}
    assert texts(read_split(config, tmp_path, "test")) == {"Dull , film"}


def test_a_split_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no test files \(data\.test\)"):
        read_split(data(), tmp_path, "test")


def test_labels_are_sorted_or_in_the_order_of_their_names() -> None:
    examples = [Labelled("a", "2"), Labelled("b", "1"), Labelled("c", "2")]
    assert label_names(data(), examples) == ("1", "2")
    assert label_names(data(labels={2: "good", 1: "bad", 3: "good"}), examples) == ("good", "bad")
    with pytest.raises(ConfigError, match="a classifier needs two labels or more, the training data have 2"):
        label_names(data(), examples[:1])


def test_a_text_is_cut_to_the_longest_length() -> None:
    rows = encode_texts(["a good film", "bad"], CODEC, data(max_length=2))
    assert [row["source_ids"].tolist() for row in rows] == [CODEC.encode("a good").ids, CODEC.encode("bad").ids]
    assert [int(row["source_lengths"]) for row in rows] == [2, 1]
    assert rows[0]["source_ids"].dtype == rows[0]["source_lengths"].dtype == np.int64


def test_a_document_is_cut_to_its_sentences_and_no_word_is_lost_in_them() -> None:
    config = data(documents={"sentences": 3, "words": 4}, language="en")
    (row,) = encode_texts(["A good film. It is a good , good film. Bad."], CODEC, config)
    good, film, stop = (CODEC.token_id(token) for token in ("good", "film", "."))
    assert row["word_counts"].tolist() == [4, 4, 4]
    assert int(row["sentence_counts"]) == 3
    assert row["word_ids"][0, 1:].tolist() == [good, film, stop]
    assert row["word_ids"][2].tolist() == [CODEC.token_id(","), good, film, stop]


def test_padding_of_a_document_is_zero() -> None:
    (row,) = encode_texts(["A good film. Bad."], CODEC, data(documents={}, language="en"))
    assert row["word_counts"].tolist() == [4, 2]
    assert row["word_ids"][1, 2:].tolist() == [0, 0]


def test_a_vocabulary_survives_its_files(tmp_path: Path) -> None:
    vocabulary = ReadingVocabulary(CODEC, ("schön", "坏"))
    vocabulary.save(tmp_path)
    loaded = ReadingVocabulary.load(tmp_path)
    assert loaded.labels == vocabulary.labels
    assert isinstance(loaded.codec, InputCodec)
    assert loaded.codec.encode("a film").ids == CODEC.encode("a film").ids
    assert loaded.index("坏") == 1
    with pytest.raises(ConfigError, match="label 'good' does not occur in the training data: schön, 坏"):
        loaded.index("good")
