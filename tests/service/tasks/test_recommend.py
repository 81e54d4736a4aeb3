"""What stands before and after a model that recommends, without a model and without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.errors import NoAttentionError
from service.tasks.errors import BadOptionError
from service.tasks.recommend import Options, Recommendation, Recommender
from tests.service.one_shot_fakes import FILTER_LIMIT, ITEM_LIMIT, ITEMS, K_LIMIT, recommender
from tests.service.tasks.asking import answer

POPULAR = [12, 10, 11, 16]


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return recommender(tmp_path_factory.mktemp("follower")).task


def items(found: Recommendation) -> list[Any]:
    return [each.item for each in found.items]


def test_items_come_with_their_scores_the_best_first(follower: Recommender) -> None:
    found = answer(follower, [50, 20], Options(top_k=3))
    assert [(each.item, each.score) for each in found.items] == [(21, 0.0), (22, -1.0), (23, -2.0)]
    assert (found.unknown, found.fallback, found.truncated, found.attention) == ([], False, False, None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(top_k=3, exclude=(21, 23, 999)), [22, 24, 25]),
        (Options(top_k=3, exclude_seen=True), [21, 23, 24]),
        (Options(top_k=3, candidates=(30, 22, 999)), [22, 30]),
        (Options(top_k=3, candidates=(30, 22, 40), exclude=(30,), exclude_seen=True), [40]),
        (Options(top_k=3, candidates=(22,), exclude_seen=True), []),
        (Options(top_k=3, candidates=(999,)), []),
    ],
)
def test_filters_go_together(follower: Recommender, options: Options, expected: list[int]) -> None:
    found = answer(follower, [22, 20], options)
    assert items(found) == expected
    assert not found.fallback


@given(
    session=st.lists(st.sampled_from([*ITEMS[:12], 999]), max_size=8),
    candidates=st.none() | st.lists(st.sampled_from([*ITEMS[:12], 998]), min_size=1, max_size=8).map(tuple),
    exclude=st.lists(st.sampled_from(ITEMS[:12]), max_size=6).map(tuple),
    exclude_seen=st.booleans(),
)
def test_nothing_is_recommended_that_was_not_to_be(
    follower: Recommender, session: list[int], candidates: tuple[int, ...] | None, exclude: tuple[int, ...],
    exclude_seen: bool,
) -> None:  # fmt: skip
    options = Options(30, exclude_seen, candidates, exclude)
    found = answer(follower, session, options)
    allowed = (set(ITEMS) if candidates is None else set(candidates) & set(ITEMS)) - set(exclude)
    if exclude_seen:
        allowed -= set(session)
    known = [item for item in session if item in ITEMS]
    assert found.fallback == (not known)
    assert set(items(found)) <= allowed
    assert len(set(items(found))) == len(found.items)
    if candidates is not None or known:
        assert len(found.items) == min(30, len(allowed))


def test_unknown_items_are_skipped_and_told_once(follower: Recommender) -> None:
    found = answer(follower, ["a", 20, 999, "20", "a"], Options(top_k=1))
    assert (items(found), found.unknown, found.fallback) == ([21], ["a", 999, "20"], False)


@pytest.mark.parametrize("session", [[], [999], ["10", "x"]])
def test_of_nothing_known_popular_items_follow(follower: Recommender, session: list[Any]) -> None:
    found = answer(follower, session, Options())
    assert [(each.item, each.score) for each in found.items] == [(item, None) for item in POPULAR]
    assert found.fallback
    assert follower.read(session, Options(), "session").rows == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(top_k=2), POPULAR[:2]),
        (Options(exclude=(10, 12)), [11, 16]),
        (Options(candidates=(50, 16, 10)), [10, 16, 50]),
        (Options(candidates=(50, 16, 10), exclude=(10,)), [16, 50]),
        (Options(candidates=(999,)), []),
    ],
)
def test_popular_items_are_filtered_too(follower: Recommender, options: Options, expected: list[int]) -> None:
    found = answer(follower, [], options)
    assert (items(found), found.fallback) == (expected, True)


def test_a_row_holds_the_last_items_and_the_filter(follower: Recommender) -> None:
    options = Options(top_k=7, exclude=(11, 10))
    work = follower.read([10, 999, 11, 12, 13, 14, 15], options, "session")
    (request,) = work.requests(1.5, 2)
    assert (request.deadline, request.group) == (1.5, 2)
    assert {name: value.tolist() for name, value in request.inputs.items()} == {
        "item_ids": [2, 3, 4, 5, 6],
        "item_counts": ITEM_LIMIT,
        "filter_ids": [1, 2],
        "filter_mode": 0,
        "k": 7,
    }
    assert answer(follower, [10, 999, 11, 12, 13, 14, 15], options).truncated
    (bare,) = follower.read([10], Options(candidates=(12,)), "session").requests(None, 0)
    assert (bare.inputs["filter_ids"].tolist(), bare.inputs["filter_mode"].tolist()) == ([3], 1)
    (without,) = follower.read([10], Options(), "session").requests(None, 0)
    assert (without.inputs["filter_ids"].tolist(), without.inputs["filter_mode"].tolist()) == ([0], 0)


def test_what_was_seen_is_all_of_the_session_also_what_is_not_read(follower: Recommender) -> None:
    session = [21, 30, 31, 32, 33, 20]
    assert items(answer(follower, session, Options(top_k=1, exclude_seen=True))) == [22]


def test_no_more_items_are_asked_for_than_the_model_gives(follower: Recommender, tmp_path: Path) -> None:
    assert len(answer(follower, [10], Options(top_k=100)).items) == K_LIMIT
    few = recommender(tmp_path, items=tuple(range(10, 18))).task
    (request,) = few.read([10], Options(top_k=100), "session").requests(None, 0)
    assert request.inputs["k"] == 8


@pytest.mark.parametrize(
    ("options", "session", "field"),
    [
        (Options(exclude=ITEMS[: FILTER_LIMIT + 1]), [10], "exclude"),
        (Options(exclude_seen=True), list(ITEMS[: FILTER_LIMIT + 1]), "exclude_seen"),
        (Options(candidates=ITEMS[: FILTER_LIMIT + 1]), [], "candidates"),
    ],
)
def test_too_much_to_filter_by_is_refused(
    follower: Recommender, options: Options, session: list[int], field: str
) -> None:
    with pytest.raises(BadOptionError, match="41 items to filter by, the limit is 40: name fewer") as caught:
        follower.read(session, options, "session")
    assert caught.value.field == field


def test_what_is_excluded_from_the_candidates_does_not_count(follower: Recommender) -> None:
    options = Options(top_k=1, candidates=ITEMS[: FILTER_LIMIT + 1], exclude=ITEMS[1:2])
    assert items(answer(follower, [10], options)) == [12]


def test_a_map_has_a_weight_for_each_item_that_was_read(follower: Recommender) -> None:
    found = answer(follower, [10, 999, 11], Options(explain=True)).attention
    assert (found.items, found.positions, found.weights) == ([10, 11], [0, 2], [0.01, 0.02])
    assert not follower.read([999], Options(explain=True), "session").explains


def test_a_model_without_attention_does_not_explain(tmp_path: Path) -> None:
    with pytest.raises(NoAttentionError, match="'follower' has no attention"):
        recommender(tmp_path, attention=False).task.read([10], Options(explain=True), "session")
