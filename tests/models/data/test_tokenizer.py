from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.text import SPECIAL_TOKENS, TextCodec
from models.data.parallel import LineAligned, read_pairs
from models.data.tokenizer import TokenizerConfig, train_codecs, with_dropout

DATA = Path(__file__).parents[2] / "data" / "parallel"
PAIRS = read_pairs(LineAligned(source="train.en", target="train.de"), DATA)


def codecs(**fields: object) -> tuple[TextCodec, TextCodec]:
    return train_codecs(PAIRS, TokenizerConfig.model_validate({"vocabulary_size": 120} | fields))


SOURCE, TARGET = codecs()


def test_special_tokens_have_the_ids_of_the_contract() -> None:
    for codec in (SOURCE, TARGET):
        assert codec.tokens([0, 1, 2, 3]) == list(SPECIAL_TOKENS)


def test_punctuation_and_digits_are_tokens_of_their_own() -> None:
    tokens = codecs(vocabulary_size=400)[0].encode("A dog, 22 runs.").tokens
    assert tokens == ["▁A", "▁dog", ",", "▁", "2", "2", "▁runs", "."]


@pytest.mark.parametrize("text", [target for _, target in PAIRS[:20]])
def test_decoding_gives_the_text_back(text: str) -> None:
    assert TARGET.decode(TARGET.encode(text).ids) == text


@given(st.text(alphabet="Aaodgc ,.2-", min_size=1).map(str.strip).filter(bool))
def test_decoding_loses_nothing_of_known_characters(text: str) -> None:
    encoding = SOURCE.encode(text)
    assert SOURCE.decode(encoding.ids) == "".join(c for c in text if c != "-" or SOURCE.unk not in encoding.ids)


def test_a_joint_vocabulary_is_the_same_on_both_sides() -> None:
    assert SOURCE.tokenizer.get_vocab() == TARGET.tokenizer.get_vocab()
    source, target = codecs(joint=False)
    assert "▁dog" in source.tokenizer.get_vocab()
    assert "▁dog" not in target.tokenizer.get_vocab()


@pytest.mark.parametrize("joint", [True, False])
def test_only_the_source_is_lower_cased(joint: bool) -> None:
    source, target = codecs(lowercase_source=True, joint=joint)
    assert source.encode("A DOG").ids == source.encode("a dog").ids
    assert target.decode(target.encode("Ein Hund").ids) == "Ein Hund"
    assert not any(any(c.isupper() for c in token) for token in source.encode("A Small Dog").tokens)


def test_the_normal_form_is_a_setting() -> None:
    wide = "Ｄｏｇ"  # noqa: RUF001 full-width letters are the point
    assert codecs(normalisation="NFKC")[0].encode(wide).ids == SOURCE.encode("Dog").ids
    assert SOURCE.unk in SOURCE.encode(wide).ids
    assert SOURCE.encode("fro\u0308hlich").ids == SOURCE.encode("fröhlich").ids


def test_dropout_varies_training_tokens_and_leaves_the_codec_alone() -> None:
    text = PAIRS[0][1]
    before = TARGET.encode(text).ids
    noisy = with_dropout(TARGET, 0.5)
    seen = {tuple(noisy.encode_batch([text])[0]) for _ in range(20)}
    assert len(seen) > 1
    assert {noisy.decode(list(ids)) for ids in seen} == {text}
    assert TARGET.encode(text).ids == before
    assert TARGET.tokenizer.model.dropout is None


def test_no_dropout_is_the_codec_itself() -> None:
    assert with_dropout(TARGET, 0) is TARGET
