from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from contract.text import SPECIAL_TOKENS, TextCodec
from models.data.characters import learn_characters

KNOWN = 'M:6/8\nK:D\n|:"D"d2 é\t'


@given(st.text(alphabet=KNOWN))
def test_a_token_is_a_character_and_none_is_lost(text: str) -> None:
    codec = learn_characters([KNOWN])
    ids = codec.encode(text).ids
    assert len(ids) == len(text)
    assert codec.decode(ids) == text


def test_it_stays_so_in_a_file(tmp_path: Path) -> None:
    codec = learn_characters(["ab", "b\n c"])
    codec.save(tmp_path / "tokenizer.json")
    loaded = TextCodec.load(tmp_path / "tokenizer.json")
    assert loaded.tokens(loaded.encode("a b\n").ids) == ["a", " ", "b", "\n"]
    assert loaded.vocabulary_size == len(SPECIAL_TOKENS) + len("ab\n c")


def test_special_tokens_are_five_characters_and_strangers_are_unknown() -> None:
    codec = learn_characters(["<bos>"])
    assert codec.tokens(codec.encode("<bos>!").ids) == ["<", "b", "o", "s", ">", "<unk>"]
