"""Text to ids and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from contract.text import EOS, PAD, PAD_ID, SPECIAL_TOKENS, UNK, Encoding, InputCodec, TextCodec


@pytest.fixture
def codec() -> TextCodec:
    words = ["▁ein", "▁Mann", "▁läuft", ".", "▁"]
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return TextCodec(tokenizer)


def test_special_ids(codec: TextCodec) -> None:
    assert (codec.pad, codec.unk, codec.bos, codec.eos, codec.vocabulary_size) == (0, 1, 2, 3, 9)


def test_text_comes_back_and_offsets_point_into_it(codec: TextCodec) -> None:
    text = "ein Mann läuft."
    encoding = codec.encode(text)
    assert encoding.ids == [4, 5, 6, 7]
    assert [text[start:end].strip() for start, end in encoding.offsets] == ["ein", "Mann", "läuft", "."]
    assert codec.decode(encoding.ids) == text
    assert codec.decode([2, *encoding.ids, 3]) == text
    assert codec.tokens([5, 3]) == ["▁Mann", "<eos>"]


def test_a_source_is_closed_by_the_end_token(codec: TextCodec) -> None:
    source = codec.source("ein Hund")
    assert source.ids == [4, codec.unk, codec.eos]
    assert source.tokens[-1] == EOS
    assert source.offsets[-1] == (8, 8)
    assert codec.encode_batch(["ein", "Mann läuft"]) == [[4], [5, 6]]


def test_a_special_token_in_a_text_is_plain_text(codec: TextCodec) -> None:
    assert not {codec.pad, codec.bos, codec.eos} & set(codec.encode("ein <eos> Mann <pad>").ids)
    assert codec.source("<bos>").ids[-1] == codec.eos


def test_a_codec_survives_its_file(codec: TextCodec, tmp_path: Path) -> None:
    codec.save(tmp_path / "tokenizer.json")
    assert TextCodec.load(tmp_path / "tokenizer.json").encode("ein Mann") == codec.encode("ein Mann")


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ValueError, match=r"broken\.json: not a tokenizer file"):
        TextCodec.load(tmp_path / "broken.json")
    with pytest.raises(ValueError, match="lacks the special tokens <pad>, <unk>, <bos>, <eos>"):
        TextCodec(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))


def input_codec(*, closed: bool) -> InputCodec:
    """Lower-cased words, and every Chinese character or other sign by itself; closed as BERT's are, or not."""
    special = [PAD, UNK, "[CLS]", "[SEP]"]
    vocabulary = {token: index for index, token in enumerate([*special, "good", "film", "a", "😀", "电", "影", "."])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[a-z]+|\S"), "removed", invert=True)
    tokenizer.add_special_tokens(special)
    if closed:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return InputCodec(tokenizer)


def test_what_the_file_adds_is_read_and_stands_nowhere_in_the_text() -> None:
    encoding = input_codec(closed=True).encode("Good 电影😀")
    assert encoding.ids == [2, 4, 8, 9, 7, 3]
    assert encoding.tokens == ["[CLS]", "good", "电", "影", "😀", "[SEP]"]
    assert encoding.offsets == [(0, 0), (0, 4), (5, 6), (6, 7), (7, 8), (0, 0)]


@given(st.text(st.sampled_from("aGood film😀👍🏽电影é\u0301ß…, \u2028[]<>\n")))
def test_offsets_point_at_the_text_whatever_its_characters(text: str) -> None:
    codec = input_codec(closed=False)
    encoding = codec.encode(text)
    assert codec.encode_batch([text, "a"]) == [encoding.ids, [codec.token_id("a")]]
    known = [(token, span) for token, span in zip(encoding.tokens, encoding.offsets, strict=True) if token != UNK]
    assert text.strip() == "" or encoding.ids != [PAD_ID]
    assert all(text[slice(*span)].lower() == token for token, span in known if token != PAD)


@pytest.mark.parametrize("text", ["[SEP]", "a <pad> film", "[CLS][SEP]", "<unk>"])
def test_a_special_token_in_a_text_is_read_as_its_characters(text: str) -> None:
    codec = input_codec(closed=False)
    assert not {PAD_ID, 2, 3} & set(codec.encode(text).ids)
    assert len(codec.encode(text).ids) >= text.count("[") * 3


def test_a_text_of_nothing_is_a_padding_token_unless_the_file_adds_something() -> None:
    assert input_codec(closed=False).encode(" ") == Encoding([PAD_ID], [PAD], [(0, 0)])
    assert input_codec(closed=False).encode_batch([""]) == [[PAD_ID]]
    assert input_codec(closed=True).encode_batch([""]) == [[2, 3]]


def test_truncation_keeps_what_closes_a_text_and_says_whether_it_cut() -> None:
    codec, text = input_codec(closed=True), "a good good film"
    whole = codec.encode(text)
    assert codec.truncate(whole, 6) == (whole, False)
    cut, was_cut = codec.truncate(whole, 4)
    assert was_cut
    assert cut == Encoding([2, 6, 4, 3], ["[CLS]", "a", "good", "[SEP]"], [(0, 0), (0, 1), (2, 6), (0, 0)])
    assert codec.truncate_ids(whole.ids, 4) == cut.ids
    assert input_codec(closed=False).truncate_ids([6, 4, 4, 5], 3) == [6, 4, 4]
    with pytest.raises(ValueError, match="a limit of 1 leaves no place beside 1 closing tokens; raise it"):
        codec.truncate(whole, 1)


def test_an_input_codec_survives_its_file(tmp_path: Path) -> None:
    codec = input_codec(closed=True)
    codec.save(tmp_path / "tokenizer.json")
    loaded = InputCodec.load(tmp_path / "tokenizer.json")
    assert loaded.encode("a [SEP]") == codec.encode("a [SEP]")
    assert loaded.vocabulary_size == codec.vocabulary_size == 11


def test_a_tokenizer_that_cannot_serve_a_reader_is_refused() -> None:
    with pytest.raises(ValueError, match="id 0 of the tokenizer is not a special token; make it the padding token"):
        InputCodec(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    cutting = input_codec(closed=False).tokenizer
    cutting.enable_truncation(8)
    with pytest.raises(ValueError, match="truncates or pads on its own"):
        InputCodec(cutting)
    spelling = Tokenizer(models.WordLevel({PAD: 0, UNK: 1}, unk_token=UNK))
    spelling.add_special_tokens([PAD, UNK])
    with pytest.raises(ValueError, match="reads the text '<pad>' as a special token"):
        InputCodec(spelling)
