from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.text import PAD, UNK, InputCodec
from models.data.input_tokenizer import InputTokenizerConfig, train_input_codec

ENGLISH = ["I did n't like it , you ca n't .", "It's good ... it is -lrb- very -rrb- good !", "a good film , very good"]
CHINESE = ["酒店很好,房间很大。", "这个酒店不错,服务很好", "酒店房间不好,服务不好!", "酒店的服务很好"]


def codec(texts: list[str], **fields: object) -> InputCodec:
    return train_input_codec(texts, InputTokenizerConfig.model_validate({"vocabulary_size": 300} | fields))


WORDS, PIECES = codec(ENGLISH + CHINESE), codec(CHINESE, kind="bpe", min_frequency=2)


def test_padding_and_the_unknown_come_first() -> None:
    for each in (WORDS, PIECES):
        assert each.tokens([0, 1]) == [PAD, UNK]


@pytest.mark.parametrize(
    ("written", "split"),
    [
        ("I didn't like it.", "I did n't like it ."),
        ("You CAN'T!", "you ca n't !"),
        ("It’s very good…", "it 's very good…"),  # noqa: RUF001 the apostrophe people's keyboards make
        ("a (very) good film", "a -LRB- very -RRB- good film"),
        ("“good”", "`` good ''"),
    ],
)
def test_a_text_as_written_is_read_as_a_treebank_splits_it(written: str, split: str) -> None:
    assert WORDS.encode(written).tokens == WORDS.encode(split).tokens


def test_endings_of_words_are_words() -> None:
    assert WORDS.encode("It's good, didn't").tokens == ["it", "'s", "good", ",", "did", "n't"]
    assert WORDS.encode("very good...").tokens == ["very", "good", "..."]


@pytest.mark.parametrize("unit", ["s", "ß", "st", "n't", "'", "it's ", ".", "-lrb-", "酒", "😀", "e\u0301", " "])
def test_no_text_takes_the_splitter_for_ever(unit: str) -> None:
    """The engine gives up, and takes the process with it, on a pattern that tries every way to read a long word."""
    text = "p" + unit * 3_000
    for each in (WORDS, PIECES):
        assert each.encode(text).offsets[0][0] == 0
        assert each.encode(text).offsets[-1][1] >= len(text.rstrip()) - 1


def test_unknown_words_are_unknown_and_special_tokens_are_plain_text() -> None:
    assert WORDS.encode("unheard of").tokens == [UNK, UNK]
    assert 0 not in WORDS.encode("<pad> a <unk>").ids


def test_chinese_words_are_characters_and_pieces_are_what_occurs_together() -> None:
    assert WORDS.encode("酒店很好。").tokens == list("酒店很好。")
    assert PIECES.encode("酒店服务很好!").tokens == ["酒店", "服务很好", "!"]
    assert PIECES.encode("酒店 x").tokens == ["酒店", UNK]


@given(st.text(st.sampled_from("酒店房间很好不错服务,。 a1😀\n")))
def test_offsets_point_at_the_piece_they_stand_for(text: str) -> None:
    for each in (WORDS, PIECES):
        encoding = each.encode(text)
        pieces = [text[start:end] for start, end in encoding.offsets]
        assert "".join(pieces) == "".join(text.split())
        for token, piece in zip(encoding.tokens, pieces, strict=True):
            assert token in (piece, UNK, PAD)


def test_case_and_width_are_settings() -> None:
    assert codec(["Good GOOD"], lowercase=False).encode("Good GOOD good").tokens == ["Good", "GOOD", UNK]
    wide = "ＧＯＯＤ"  # noqa: RUF001 full-width letters are the point
    assert codec(["good"], normalisation="NFKC").encode(wide).tokens == ["good"]
    assert codec(["good"]).encode(wide).tokens == [UNK]


def test_what_is_rare_or_beyond_the_size_is_unknown() -> None:
    assert codec(ENGLISH, min_frequency=2).encode("a good film").tokens == [UNK, "good", UNK]
    assert codec(ENGLISH, vocabulary_size=4).vocabulary_size == 4
