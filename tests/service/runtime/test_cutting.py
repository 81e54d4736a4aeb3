"""What makes a batch: never more than the bounds, never more padding than runs of their own would cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signature import Tensor
from service.runtime.cutting import Bounds, Extent, Tariff, cut_batch
from tests.service.runtime.toy_graphs import RECOMMENDER, TAGGER

TEXT = Tariff(
    (
        Tensor(name="source_ids", dtype="int64", axes=("rows", "source")),
        Tensor(name="source_lengths", dtype="int64", axes=("rows",)),
    )
)
DOCUMENT = Tariff(
    (
        Tensor(name="word_ids", dtype="int64", axes=("rows", "sentences", "words")),
        Tensor(name="word_counts", dtype="int64", axes=("rows", "sentences")),
        Tensor(name="sentence_counts", dtype="int64", axes=("rows",)),
    )
)
LOOSE = Bounds(rows=100, cost=10**6, run_rows=10**6)


def texts(*lengths: int) -> list[Extent]:
    return [TEXT.extent({"source": length}) for length in lengths]


def test_a_row_costs_the_sum_of_its_inputs() -> None:
    assert TEXT.extent({"source": 20}).cost == 20 + 1
    assert DOCUMENT.extent({"sentences": 3, "words": 7}).cost == 3 * 7 + 3 + 1
    assert Tariff(TAGGER.inputs).extent({"source": 5, "characters": 4}).cost == 5 + 1 + 5 * 4 + 5
    # Empty filters are padded to one, and k is a scalar.
    recommend = {"items": 6, "filters": 0, "k": 20}
    assert Tariff(RECOMMENDER.inputs).extent(recommend).cost == 6 + 1 + 1 + 1 + 1


def test_constant_axes_count() -> None:
    image = Tariff((Tensor(name="pixels", dtype="float32", axes=("rows", 3, "height", 5)),))
    assert image.extent({"height": 4}).cost == 3 * 4 * 5


def test_every_axis_is_padded_to_the_longest_along_it() -> None:
    wide, tall = DOCUMENT.extent({"sentences": 1, "words": 9}), DOCUMENT.extent({"sentences": 4, "words": 2})
    assert DOCUMENT.joined(wide, tall) == Extent((4, 9), 4 * 9 + 4 + 1)
    assert DOCUMENT.padded([tall, wide, tall]) == DOCUMENT.joined(wide, tall)


@pytest.mark.parametrize(
    ("lengths", "run_rows", "expected"),
    [
        ((10, 10, 10), 0.0, [10, 10, 10]),
        ((10, 9, 11), 0.0, [10]),
        ((10, 9, 11), 0.5, [9, 10, 11]),
        ((10, 100, 9, 8), 0.5, [8, 9, 10]),
        ((100, 10, 9, 90), 0.5, [90, 100]),
        ((10, 100, 9, 8), 100.0, [8, 9, 10, 100]),
    ],
)
def test_short_goes_with_short_unless_a_run_costs_more(
    lengths: tuple[int, ...], run_rows: float, expected: list[int]
) -> None:
    chosen = cut_batch(texts(*lengths), TEXT, Bounds(rows=9, cost=10**6, run_rows=run_rows))
    assert [lengths[index] for index in chosen] == expected


def test_a_batch_is_cut_by_cost() -> None:
    rows = texts(*[9] * 20)
    assert len(cut_batch(rows, TEXT, Bounds(rows=100, cost=10 * 7, run_rows=1))) == 7
    assert len(cut_batch(rows, TEXT, Bounds(rows=100, cost=10 * 7 + 9, run_rows=1))) == 7


def test_a_batch_is_cut_by_rows() -> None:
    assert len(cut_batch(texts(*range(1, 30)), TEXT, Bounds(rows=5, cost=10**6, run_rows=10**6))) == 5


def test_a_row_above_the_bounds_runs_alone() -> None:
    assert cut_batch(texts(500, 1, 500), TEXT, Bounds(rows=8, cost=100, run_rows=10**6)) == [0]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(1, 2000),
    st.sampled_from([0.0, 0.5, 2.0, 50.0]),
)
def test_the_first_is_always_in_and_the_bounds_hold(
    sizes: list[tuple[int, int]], rows: int, cost: int, run_rows: float
) -> None:
    waiting = [DOCUMENT.extent({"sentences": a, "words": b}) for a, b in sizes]
    bounds = Bounds(rows, cost, run_rows)
    chosen = cut_batch(waiting, DOCUMENT, bounds)
    assert 0 in chosen
    assert len(set(chosen)) == len(chosen) <= rows
    costs = [waiting[index].cost for index in chosen]
    assert costs == sorted(costs)
    together = DOCUMENT.padded(waiting[index] for index in chosen).cost
    assert len(chosen) == 1 or len(chosen) * together <= cost
    # The batch costs no more than its rows would in runs of their own.
    assert (len(chosen) + run_rows) * together <= sum((1 + run_rows) * each for each in costs) + 1e-6


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_nothing_is_left_out_that_goes_in(lengths: list[int]) -> None:
    assert sorted(cut_batch(texts(*lengths), TEXT, LOOSE)) == list(range(len(lengths)))
