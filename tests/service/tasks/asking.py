"""How tests of tasks have an item worked on."""

from __future__ import annotations

from typing import Any


def answer(task: Any, item: Any, options: Any) -> Any:
    """What becomes of an item, through the task and its engine."""
    work = task.read(item, options, "item")
    outcomes = [task.engine.submit(request).future.result(5) for request in work.requests(None, 0)]
    assert len(outcomes) == work.rows
    return work.result(outcomes)
