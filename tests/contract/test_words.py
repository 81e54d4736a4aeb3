from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from contract.words import Characters, WordCodec
from models.data.words import WordsConfig, train_words

TEXTS = ["Ada went to Elm Bay", "Ada met 20 of 31", "北京市 Café"]
CODEC = train_words(TEXTS, WordsConfig(min_character_count=1, longest_word=6))

# Letters, marks that combine, emoji with their joiners and selectors, signs without spaces between words, and spaces.
ALPHABET = "aZ9.'-@# \n\u00e9e\u0301\u0308한\u1112\u1161\u11ab北京、。😀👩\u200d🔬🇩🇪👍🏽❤\ufe0fİßﬁ٣\u0e01\u0e33"


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in CODEC.encode(text).offsets]


@given(st.text(ALPHABET, max_size=20) | st.text(max_size=12))
@example("Cafe\u0301 e\u0301a")
@example("👩\u200d🔬👍🏽 🇩🇪")
@example("\u1112\u1161\u11ab한")
def test_words_cover_all_but_spaces_in_order(text: str) -> None:
    encoding = CODEC.encode(text)
    assert len(encoding.ids) == len(encoding.tokens) == len(encoding.offsets)
    before = 0
    for start, end in encoding.offsets:
        assert before <= start < end
        assert text[before:start].strip() == ""
        before = end
    assert text[before:].strip() == ""


@pytest.mark.parametrize("text", ["Cafe\u0301 bar", "Caf\u00e9 bar"])
def test_a_word_is_one_however_it_is_composed(text: str) -> None:
    encoding = CODEC.encode(text)
    assert words(text) == [text.removesuffix(" bar"), "bar"]
    assert encoding.ids[0] == CODEC.tokenizer.token_to_id("café")
    assert CODEC.inputs(text, encoding)["character_counts"].tolist() == [4, 3]


def test_casing_and_digits_fold_into_one_word_but_not_into_one_character() -> None:
    codec = train_words(TEXTS, WordsConfig(min_character_count=1))
    lower, upper = codec.encode("ada 20"), codec.encode("ADA 31")
    assert lower.ids == upper.ids
    assert codec.inputs("ada", lower)["character_ids"].tolist() != codec.inputs("ADA", upper)["character_ids"].tolist()


def test_a_row_holds_words_and_characters_padded_to_the_longest_word() -> None:
    text = "Ada 北 wentwent"
    row = CODEC.inputs(text, CODEC.encode(text))
    unk, went = 1, CODEC.characters
    assert went is not None
    assert row["source_ids"].tolist() == [CODEC.tokenizer.token_to_id("ada"), CODEC.tokenizer.token_to_id("北"), unk]
    assert row["source_lengths"].tolist() == 3
    assert row["character_counts"].tolist() == [3, 1, 6]
    assert row["character_ids"].tolist() == [
        [*went.encode("Ada"), 0, 0, 0],
        [*went.encode("北"), 0, 0, 0, 0, 0],
        went.encode("wenent"),  # the first and the last ones of a word that is too long
    ]
    assert all(array.dtype == np.int64 for array in row.values())


def test_what_training_has_not_seen_is_unknown_and_a_literal_special_token_is_text() -> None:
    characters = CODEC.characters
    assert characters is not None
    assert characters.encode("Aж") == [characters.encode("A")[0], 1]
    assert CODEC.encode("zebra <pad>").ids == [1, 1, 1, 1]
    assert words("zebra <pad>") == ["zebra", "<", "pad", ">"]


def test_a_text_of_spaces_has_no_words() -> None:
    encoding = CODEC.encode(" \n")
    assert encoding.ids == []
    assert CODEC.inputs(" \n", encoding)["character_ids"].shape == (0, 1)


@pytest.mark.parametrize("characters", [True, False])
def test_files_hold_the_codec(tmp_path: Path, characters: bool) -> None:
    codec = train_words(TEXTS, WordsConfig(characters=characters))
    paths = tmp_path / "words.json", tmp_path / "characters.json" if characters else None
    codec.save(*paths)
    loaded = WordCodec.load(*paths)
    assert loaded.vocabulary_size == codec.vocabulary_size
    assert loaded.longest_word == codec.longest_word == (32 if characters else None)
    for name, array in codec.inputs(TEXTS[2], codec.encode(TEXTS[2])).items():
        np.testing.assert_array_equal(loaded.inputs(TEXTS[2], loaded.encode(TEXTS[2]))[name], array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"characters\.json: not a table of characters"),
        ('{"characters": ["a", "a"], "longest": 9}', "a table of characters lists each once"),
        ('{"characters": ["a"], "longest": 1}', "reads at least 2 of a word"),
        ('{"characters": ["a"]}', "not a table of characters"),
    ],
)
def test_a_broken_table_of_characters_is_refused(tmp_path: Path, content: str, message: str) -> None:
    CODEC.save(tmp_path / "words.json", tmp_path / "characters.json")
    (tmp_path / "characters.json").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        WordCodec.load(tmp_path / "words.json", tmp_path / "characters.json")


def test_a_broken_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match=r"words\.json: not a tokenizer file"):
        WordCodec.load(tmp_path / "words.json", None)
    with pytest.raises(ValueError, match=r"numbers <pad> 0 and <unk> 1, not \[None, 0\]"):
        WordCodec(Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")))


def test_characters_count_padding_and_the_unknown() -> None:
    assert Characters("abc", 4).size == 5
