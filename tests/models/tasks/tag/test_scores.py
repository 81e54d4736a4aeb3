from __future__ import annotations

import pytest

from models.tasks.tag.scores import entity_scores


def test_an_entity_is_right_when_label_and_both_ends_are() -> None:
    gold = [[("PER", 0, 3), ("LOC", 5, 9)], [("ORG", 0, 4)], []]
    predicted = [[("PER", 0, 3), ("LOC", 5, 8)], [("LOC", 0, 4)], [("PER", 1, 2)]]
    scores = entity_scores(predicted, gold)
    assert list(scores) == ["f1", "precision", "recall"]
    assert scores["precision"] == pytest.approx(100 * 1 / 4)
    assert scores["recall"] == pytest.approx(100 * 1 / 3)
    assert scores["f1"] == pytest.approx(100 * 2 / 7)


def test_the_same_place_in_two_texts_is_two_entities() -> None:
    assert entity_scores([[("A", 0, 1)], []], [[("A", 0, 1)], [("A", 0, 1)]])["recall"] == 50


def test_without_entities_nothing_is_right() -> None:
    assert entity_scores([[]], [[]]) == {"f1": 0, "precision": 0, "recall": 0}
    assert entity_scores([[("A", 0, 1)]], [[]])["f1"] == 0
    assert entity_scores([[("A", 0, 1)]], [[("A", 0, 1)]])["f1"] == 100


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        entity_scores([[]], [[], []])
