from __future__ import annotations

from pathlib import Path

import pytest

from models.data.lines import DataError
from models.data.sessions import (
    Case,
    CaseList,
    EventTable,
    SessionList,
    carve_latest,
    expand,
    read_cases,
    read_events,
    read_sessions,
)

DATA = Path(__file__).parents[2] / "data" / "sessions"
DAY = 86_400


def test_the_shipped_files_hold_sessions_and_cases() -> None:
    sessions = read_sessions(SessionList(sessions="train.txt"), DATA)
    cases = read_cases(CaseList(cases="test.tsv"), DATA)
    assert len(sessions) == 400
    assert {item for session in sessions for item in session} == {str(item) for item in range(100, 112)}
    assert cases[-1] == Case(prefix=("102",), target="103")


def test_every_prefix_is_a_case() -> None:
    assert list(expand([("a", "b", "a"), ("c", "d")])) == [
        Case(("a",), "b"),
        Case(("a", "b"), "a"),
        Case(("c",), "d"),
    ]


def test_the_latest_sessions_validate() -> None:
    sessions = [(str(number), "x") for number in range(25)]
    train, validation = carve_latest(sessions, 0.1)
    assert (train, validation) == (sessions[:23], sessions[23:])


def test_too_few_sessions_to_carve_from_are_refused() -> None:
    with pytest.raises(DataError, match=r"9 sessions are too few to carve a validation set of 10.0% from"):
        carve_latest([("a", "b")] * 9, 0.1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [("1 2\n3\n", ":2: 1 items"), ("1 2\n\n3 4\n", ":2: 0 items"), ("", ": no sessions")],
)
def test_a_broken_session_is_reported_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(DataError, match=f"s.txt{fault}"):
        read_sessions(SessionList(sessions="s.txt"), tmp_path)


@pytest.mark.parametrize("line", ["1 2", "\t3", "1\t", "1\t2 3", "1\t2\t3"])
def test_a_broken_case_is_reported_with_its_place(line: str, tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_text(f"1 2\t3\n{line}\n")
    with pytest.raises(DataError, match=r"c.tsv:2: must read items separated by spaces, a tab, one target item"):
        read_cases(CaseList(cases="c.tsv"), tmp_path)


def events(tmp_path: Path, rows: list[str], **fields: object) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    (tmp_path / "events.csv").write_text("\n".join(["session,item,time", *rows]) + "\n")
    return read_events(EventTable(table="events.csv", min_item_count=1, **fields), tmp_path)  # type: ignore[arg-type]


def test_events_become_sessions_in_the_order_of_time(tmp_path: Path) -> None:
    rows = ["s2,c,30", "s1,b,12", "s1,a,10", "s2,a,20", "s1,b,12.5", "s2,d,30"]
    train, test = events(tmp_path, rows, test_fraction=0.0)
    assert train == [("a", "b", "b"), ("a", "c", "d")]
    assert test == []


def test_the_latest_fraction_of_sessions_is_for_testing(tmp_path: Path) -> None:
    rows = [f"s{n},{item},{n}" for n in range(10) for item in "ab"]
    train, test = events(tmp_path, rows, test_fraction=0.2)
    assert (len(train), len(test)) == (8, 2)


def test_sessions_that_end_in_the_last_days_are_for_testing(tmp_path: Path) -> None:
    rows = ["old,a,0", "old,b,1", f"edge,a,{8 * DAY}", f"edge,b,{9 * DAY}", f"new,a,{8 * DAY}", f"new,c,{10 * DAY}"]
    train, test = events(tmp_path, rows, test_days=1)
    assert train == [("a", "b"), ("a", "b")]
    assert test == [("a", "c")]


def test_times_may_be_dates(tmp_path: Path) -> None:
    rows = ["s,b,2024-05-01T12:00:00", "s,a,2024-05-01T13:30:00+02:00", "s,c,2024-05-01T12:00:01Z"]
    assert events(tmp_path, rows, test_fraction=0.0)[0] == [("a", "b", "c")]


def test_rare_items_and_short_sessions_are_left_out_until_none_is_left(tmp_path: Path) -> None:
    # b is seen twice, but once only after s2, which holds nothing else of worth, has gone.
    rows = ["s1,a,1", "s1,a,2", "s1,c,3", "s2,b,4", "s2,x,5", "s3,a,6", "s3,b,7", "s3,c,8"]
    (tmp_path / "events.csv").write_text("\n".join(["session,item,time", *rows]))
    table = EventTable(table="events.csv", min_item_count=2, test_fraction=0.0)
    assert read_events(table, tmp_path) == ([("a", "a", "c"), ("a", "c")], [])


def test_test_sessions_keep_what_training_has_never_seen(tmp_path: Path) -> None:
    rows = ["s1,a,1", "s1,b,2", "s2,a,3", "s2,b,4", "s3,new,5", "s3,a,6"]
    assert events(tmp_path, rows, test_fraction=0.34)[1] == [("new", "a")]


def test_columns_go_by_index_and_separator(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text('9\t"x\ts1\n8\ty\ts1\n')
    table = EventTable(
        table="e.tsv", session=2, item=1, time=0, separator="\t", header=False, min_item_count=1, test_fraction=0.0
    )
    assert read_events(table, tmp_path)[0] == [("y", '"x')]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("s,a", "2 columns, column 2 is asked for"),
        (",a,1", "the session is empty"),
        ("s, ,1", "the item is empty"),
        ("s,a b,1", "item 'a b' contains a space"),
        ("s,a,noon", "time 'noon' is neither a number nor ISO 8601"),
        ("s,a,nan", "time 'nan' is neither a number nor ISO 8601"),
    ],
)
def test_a_broken_row_is_reported_with_its_place(row: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"events.csv:3: {fault}"):
        events(tmp_path, ["s,a,1", row])


def test_a_missing_column_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("visit,item,time\n")
    with pytest.raises(DataError, match=r"events.csv:1: no column 'session'; columns: visit, item, time"):
        read_events(EventTable(table="events.csv"), tmp_path)


def test_filters_that_leave_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("session,item,time\ns,a,1\ns,b,2\n")
    with pytest.raises(DataError, match="min_item_count 5, min_session_length 2"):
        read_events(EventTable(table="events.csv"), tmp_path)
