from __future__ import annotations

import pytest

from models.tasks.answer.scores import answer_scores, task_accuracies


def test_every_task_counts_alike_however_many_questions_it_has() -> None:
    answered = [("small", True), *[("large", number < 76) for number in range(80)], ("wrong", False)]
    accuracies = task_accuracies(answered)
    assert accuracies == {"small": 100.0, "large": 95.0, "wrong": 0.0}
    scores = answer_scores(accuracies)
    assert list(scores) == ["accuracy", "solved"]
    assert scores["accuracy"] == 65.0
    assert scores["solved"] == pytest.approx(200 / 3)
