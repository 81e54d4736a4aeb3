from __future__ import annotations

import pytest

from export.results.lengths import BOUNDS, bleu_by_length


def sentence(words: int) -> str:
    return " ".join(f"w{i}" for i in range(words))


def test_every_sentence_is_in_one_bucket_and_empty_ones_are_left_out() -> None:
    lengths = [1, 7, 8, 10, 20, 21, 60]
    texts = [sentence(words) for words in lengths]
    buckets = bleu_by_length(texts, texts, texts)
    assert [(bucket.lowest, bucket.highest, bucket.sentences) for bucket in buckets] == [
        (1, 7, 2),
        (8, 10, 2),
        (17, 20, 1),
        (21, None, 2),
    ]
    assert [bucket.bleu for bucket in buckets] == pytest.approx([100.0] * 4, abs=0.01)
    assert BOUNDS[-1] is None


def test_a_bucket_is_judged_by_its_own_sentences() -> None:
    short, long = sentence(7), sentence(30)
    right, wrong = bleu_by_length([short, long], [short, "x y z"], [short, long])
    assert (right.bleu, wrong.bleu) == pytest.approx((100.0, 0.0), abs=0.01)
