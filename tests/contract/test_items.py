from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.items import Catalogue, CatalogueError

SESSIONS = [["7", "12"], ["12", "30", "7"], ["12", "5"]]


def test_items_are_numbered_from_one_the_most_frequent_first() -> None:
    catalogue = Catalogue.learn(SESSIONS)
    assert catalogue.ids == (12, 7, 30, 5)
    assert catalogue.popular == (1, 2, 3, 4)
    assert catalogue.size == 5
    assert [catalogue.index(item) for item in (12, 7, 30, 5)] == [1, 2, 3, 4]
    assert [catalogue.item(index) for index in (1, 2, 3, 4)] == [12, 7, 30, 5]


@pytest.mark.parametrize("odd", ["a7", "007", "+7", "7.0", "٣", "-0", "--7"])
def test_one_id_that_is_no_plain_number_makes_all_ids_texts(odd: str) -> None:
    catalogue = Catalogue.learn([*SESSIONS, [odd, "12"]])
    assert catalogue.ids == ("12", "7", "30", "5", odd)
    assert catalogue.parse("12") == 1
    assert catalogue.parse(odd) == 5


def test_the_text_of_a_number_is_not_the_number() -> None:
    catalogue = Catalogue.learn(SESSIONS)
    assert catalogue.index("12") is None
    assert catalogue.parse("12") == 1
    assert catalogue.parse("012") is None
    assert catalogue.parse("shoe") is None
    assert Catalogue(("12",), ()).index(12) is None


def test_what_is_not_in_the_catalogue_has_no_index() -> None:
    assert Catalogue.learn(SESSIONS).index(8) is None


@pytest.mark.parametrize("index", [0, 5, -1])
def test_an_index_outside_the_catalogue_is_no_item(index: int) -> None:
    with pytest.raises(CatalogueError, match=f"index {index} is no item: items are 1 … 4"):
        Catalogue.learn(SESSIONS).item(index)


ITEMS = st.one_of(
    st.lists(st.text(min_size=1), min_size=1, unique=True), st.lists(st.integers(), min_size=1, unique=True)
)


@given(ids=ITEMS)
def test_a_file_gives_back_the_catalogue(ids: list[str] | list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.json"
    catalogue = Catalogue(tuple(ids), (1,))
    catalogue.save(path)
    assert Catalogue.load(path) == catalogue


def test_only_so_many_items_are_popular() -> None:
    catalogue = Catalogue.learn([[str(number) for number in range(1_200)]])
    assert catalogue.size == 1_201
    assert catalogue.popular == tuple(range(1, 1_001))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"ids": [], "popular": []}, "at least one item"),
        ({"ids": [1, "2"], "popular": []}, "all texts or all integers"),
        ({"ids": [1, True], "popular": []}, "texts or integers"),
        ({"ids": [3, 4, 3], "popular": []}, "item 3 is listed twice"),
        ({"ids": [3, 4], "popular": [3]}, "popular index 3 is outside 1 … 2"),
        ({"ids": [3, 4], "popular": [0]}, "popular index 0 is outside 1 … 2"),
        ({"ids": [3, 4]}, "popular"),
        ([], "not a catalogue"),
    ],
)
def test_a_broken_file_is_refused_with_what_is_wrong(content: object, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CatalogueError, match=fault) as error:
        Catalogue.load(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"absent\.json is not a catalogue"):
        Catalogue.load(tmp_path / "absent.json")
