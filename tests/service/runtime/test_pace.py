"""Newcomers between two steps: as many as those who run can spare the time for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.pace import Pace


def make_pace(row: float, step: float = 0.001) -> Pace:
    pace = Pace(stall=0.010, most=32)
    pace.encoded(1, row)
    pace.stepped(step)
    return pace


@pytest.mark.parametrize(
    ("row", "step", "rows"),
    [
        (0.0003, 0.001, 32),  # sentences: as many as there may be
        (0.0040, 0.001, 2),
        (0.0110, 0.001, 1),  # pictures: one, though it takes longer than it should
        (0.0110, 0.050, 4),  # where steps are slow, encoding may take as long
        (0.0003, 9.000, 32),
    ],
)
def test_encoding_takes_no_longer_than_allowed_but_for_one_row(row: float, step: float, rows: int) -> None:
    assert make_pace(row, step).rows == rows


def test_what_nothing_is_known_of_is_not_held_back() -> None:
    assert Pace(stall=0.010, most=32).rows == 32


@given(st.lists(st.tuples(st.integers(1, 32), st.floats(1e-6, 10)), min_size=1), st.floats(0, 10))
def test_at_least_one_and_at_most_so_many(runs: list[tuple[int, float]], step: float) -> None:
    pace = Pace(stall=0.010, most=32)
    for rows, seconds in runs:
        pace.encoded(rows, seconds)
        pace.stepped(step)
        assert 1 <= pace.rows <= 32


def test_a_run_that_was_interrupted_changes_little_and_a_model_that_became_slower_is_followed() -> None:
    pace = make_pace(0.002)
    assert pace.rows == 5
    pace.encoded(1, 0.004)
    assert pace.rows == 4
    pace.encoded(4, 0.008)
    assert pace.rows == 5
    for _ in range(50):
        pace.encoded(1, 0.010)
    assert pace.rows == 1
