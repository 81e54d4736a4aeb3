"""Text to ids and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from contract.text import EOS, SPECIAL_TOKENS, TextCodec


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
