from __future__ import annotations

import math

import pytest

from models.tasks.caption.scores import bleu


def test_bleu_counts_n_grams_of_all_references_and_the_closest_length() -> None:
    scores = bleu(["a dog runs on grass"], [("a dog sits on grass", "the dog runs")])
    # Words: all five. Pairs: a dog, dog runs, on grass. Triples and longer: none.
    assert list(scores) == ["bleu_1", "bleu_2", "bleu_3", "bleu_4"]
    assert scores["bleu_1"] == pytest.approx(100)
    assert scores["bleu_2"] == pytest.approx(100 * math.sqrt(3 / 4))
    assert (scores["bleu_3"], scores["bleu_4"]) == (0, 0)


def test_short_captions_are_punished() -> None:
    scores = bleu(["a dog", "a cat"], [("a dog runs",), ("a cat", "a cat that sleeps all day")])
    assert scores["bleu_1"] == pytest.approx(100 * math.exp(1 - 5 / 4))


def test_pictures_may_have_different_numbers_of_captions() -> None:
    same = bleu(["a b c d", "e f g h"], [("a b c d",), ("x", "e f g h", "y")])
    assert all(score == pytest.approx(100) for score in same.values())


def test_texts_are_split_at_spaces_alone() -> None:
    assert bleu(["a,b c"], [("a b c",)])["bleu_1"] == pytest.approx(50 * math.exp(1 - 3 / 2))
