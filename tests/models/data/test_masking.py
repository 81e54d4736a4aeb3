from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.masking import SPECIAL, Masker, MaskingConfig, Piece

MASK = 4
ORDINARY = np.arange(5, 1_000)


def masker(**config: float | bool) -> Masker:
    return Masker(MaskingConfig.model_validate(config), MASK, ORDINARY)


def piece(word_lengths: list[int]) -> Piece:
    """Words of these many tokens each, between two special tokens; every id is another one, from 2,000 on."""
    words = np.repeat(np.arange(len(word_lengths)), word_lengths)
    ids = np.arange(2_000, 2_000 + len(words))
    return Piece(np.concatenate([[2], ids, [3]]), np.concatenate([[SPECIAL], words, [SPECIAL]]))


@pytest.mark.parametrize("whole_words", [True, False])
def test_of_the_hidden_80_percent_are_masked_10_replaced_and_10_kept(whole_words: bool) -> None:
    draw, text = np.random.default_rng(0), piece([1, 2, 1, 3] * 20)
    fates = {"masked": 0, "kept": 0, "replaced": 0}
    for _ in range(400):
        read, hidden = masker(whole_words=whole_words).hide(text, draw)
        chosen = hidden > 0
        fates["masked"] += (read[chosen] == MASK).sum()
        fates["kept"] += (read[chosen] == text.ids[chosen]).sum()
        fates["replaced"] += np.isin(read[chosen], ORDINARY).sum()
    total = sum(fates.values())
    assert total == pytest.approx(400 * 140 * 0.15, rel=0.01)
    assert fates["masked"] / total == pytest.approx(0.8, abs=0.01)
    assert fates["kept"] / total == pytest.approx(0.1, abs=0.01)
    assert fates["replaced"] / total == pytest.approx(0.1, abs=0.01)


def test_every_token_is_as_likely_to_be_hidden() -> None:
    draw, text = np.random.default_rng(1), piece([1] * 20)
    counts = sum((masker().hide(text, draw)[1] > 0).astype(int) for _ in range(4_000))
    np.testing.assert_allclose(counts[1:-1] / 4_000, 0.15, atol=0.025)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.integers(0, 1_000), st.booleans())
def test_what_is_hidden_is_what_was_there(word_lengths: list[int], seed: int, whole_words: bool) -> None:
    text = piece(word_lengths)
    before = text.ids.copy()
    read, hidden = masker(whole_words=whole_words).hide(text, np.random.default_rng(seed))
    chosen = hidden > 0
    assert np.array_equal(text.ids, before)
    assert np.array_equal(hidden[chosen], text.ids[chosen])
    assert np.array_equal(read[~chosen], text.ids[~chosen])
    assert not chosen[text.words == SPECIAL].any()
    assert chosen.any()
    tokens = len(text.ids) - 2
    assert chosen.sum() <= max(0.15 * tokens + 1, max(word_lengths) if whole_words else 1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.integers(0, 1_000))
def test_whole_words_are_hidden_with_all_their_tokens(word_lengths: list[int], seed: int) -> None:
    text = piece(word_lengths)
    _, hidden = masker(whole_words=True).hide(text, np.random.default_rng(seed))
    for word in range(len(word_lengths)):
        assert len(set((hidden[text.words == word] > 0).tolist())) == 1


def test_the_same_seed_hides_the_same() -> None:
    text = piece([2] * 20)
    one, same, other = (masker().hide(text, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
