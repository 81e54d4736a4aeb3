from __future__ import annotations

from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.variants import every, label, pairs, pairwise

AXES = {"cell": ("gru", "lstm", "rnn"), "depth": (1, 2), "top": (True, False), "score": ("dot", "general")}


def no_deep_dot(fields: dict[str, Any]) -> bool:
    return fields["score"] != "dot" or fields["depth"] == 1


def test_every_takes_the_product_without_what_is_not_valid() -> None:
    assert len(every(AXES, lambda _: True)) == 3 * 2 * 2 * 2
    combined = every(AXES, no_deep_dot)
    assert len(combined) == 3 * 2 * (2 * 2 - 1)
    assert all(no_deep_dot(fields) for fields in combined)


def test_pairwise_leaves_no_valid_pair_out() -> None:
    chosen = pairwise(AXES, no_deep_dot)
    assert all(no_deep_dot(fields) for fields in chosen)
    assert set().union(*map(pairs, chosen)) == set().union(*map(pairs, every(AXES, no_deep_dot)))
    assert len(chosen) < len(every(AXES, no_deep_dot)) / 2


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5))
def test_any_two_values_of_two_axes_meet(sizes: list[int]) -> None:
    axes = {f"axis {index}": tuple(range(size)) for index, size in enumerate(sizes)}
    chosen = pairwise(axes, lambda _: True)
    for one, other in combinations(axes, 2):
        met = {(fields[one], fields[other]) for fields in chosen}
        assert len(met) == len(axes[one]) * len(axes[other])


def test_where_no_two_axes_can_meet_every_value_is_a_variant() -> None:
    assert pairwise({"cell": ("gru", "rnn")}, lambda _: True) == [{"cell": "gru"}, {"cell": "rnn"}]
    assert pairwise({}, lambda _: True) == [{}]


def test_a_label_names_switches_and_numbers() -> None:
    assert label({"cell": "gru", "depth": 2, "top": True, "feeding": False}) == "gru-depth=2-top"
    assert label({"feeding": False}) == "default"
