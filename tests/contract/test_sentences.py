"""Documents as sentences of tokens. How a text is split is tested with the translations that need it whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.sentences import encode_document
from contract.text import PAD, PAD_ID, Encoding, InputCodec
from tests.contract.test_text import input_codec

CODEC = input_codec(closed=False)
PIECES = st.sampled_from(["a film", "Mr. B.", "😀", "电影。", "\u2028", "\n\n", " ", "!?", "\xa0.", "good"])


def words(document: list[Encoding], text: str) -> list[list[str]]:
    return [[text[start:end] for start, end in sentence.offsets] for sentence in document]


@given(st.lists(PIECES, max_size=12).map("".join), st.integers(1, 5), st.sampled_from([None, "en", "zh"]))
def test_no_token_is_lost_and_offsets_point_into_the_document(text: str, most: int, language: str | None) -> None:
    document = encode_document(text, CODEC, most, language)
    assert all(1 <= len(sentence.ids) <= most for sentence in document)
    offsets = [offset for sentence in document for offset in sentence.offsets]
    assert offsets == (CODEC.encode(text).offsets if text.strip() else [(0, 0)])


def test_a_long_sentence_goes_on_as_another() -> None:
    text = "A good film. A film, a good good film!"
    assert words(encode_document(text, CODEC, 4), text) == [
        ["A", "good", "film", "."],
        ["A", "film", ",", "a"],
        ["good", "good", "film", "!"],
    ]


@pytest.mark.parametrize("text", ["", " \n\n "])
def test_a_document_of_nothing_is_one_padding_token(text: str) -> None:
    assert encode_document(text, CODEC, 4) == [Encoding([PAD_ID], [PAD], [(0, 0)])]


def test_a_chinese_document_ends_its_sentences_without_spaces() -> None:
    text = "电影很好。我喜欢!"
    assert words(encode_document(text, CODEC, 9, "zh"), text) == [list("电影很好。"), list("我喜欢!")]


def test_the_codec_is_the_whole_vocabulary() -> None:
    assert isinstance(CODEC, InputCodec)
    assert encode_document("good", CODEC, 4)[0].ids == [CODEC.token_id("good")]
