"""Scores of answers as the literature reports them: task by task, and the mean over tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

SOLVED = 95.0
"""A task counts as solved when so many of its questions are answered, in percent (Weston et al. 2015)."""


def task_accuracies(answered: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Accuracy of every task in points, from the task of each question and whether its answer is right."""
    right: dict[str, list[bool]] = defaultdict(list)
    for task, is_right in answered:
        right[task].append(is_right)
    return {task: 100 * float(np.mean(hits)) for task, hits in right.items()}


def answer_scores(accuracies: Mapping[str, float]) -> dict[str, float]:
    """The mean over tasks of their accuracies, and the share of tasks that are solved, in points."""
    values = np.array([*accuracies.values()])
    return {"accuracy": float(values.mean()), "solved": 100 * float((values >= SOLVED).mean())}
