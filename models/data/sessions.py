"""Sessions of items: one session a line, test cases, or any table of events."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from contract.signature import Frozen
from models.data.lines import DataError, find_column, read_lines

Session = tuple[str, ...]
"""Item ids in the order of the events."""

SECONDS_PER_DAY = 86_400


class Case(NamedTuple):
    """What a visitor has looked at so far, and what came next."""

    prefix: Session
    target: str


class SessionList(Frozen):
    """A file with one session a line, item ids separated by spaces, sessions in the order of time."""

    sessions: str


class CaseList(Frozen):
    """A file of test cases: the prefix's item ids separated by spaces, a tab, the target."""

    cases: str


class EventTable(Frozen):
    """A table of events, one a line, with columns by name or by 0-based index.

    Times are numbers (seconds) or ISO 8601. Sessions that end in the last `test_days`, or else the latest
    `test_fraction` of them, are for testing. Of the others, items with fewer than `min_item_count` events and sessions
    with fewer than `min_session_length` are left out, again and again until none is left to leave out.
    """

    table: str
    session: str | int = "session"
    item: str | int = "item"
    time: str | int = "time"
    separator: Literal[",", "\t", ";"] = ","
    header: bool = Field(default=True, description="whether the first line names the columns")
    min_item_count: int = Field(default=5, ge=1)
    min_session_length: int = Field(default=2, ge=2)
    test_days: float | None = Field(default=None, gt=0)
    test_fraction: float = Field(default=0.1, ge=0, lt=1)


class _Event(NamedTuple):
    time: float
    order: int
    item: str


def read_sessions(files: SessionList, root: Path) -> list[Session]:
    """All sessions of a file.

    Raises:
        DataError: the file cannot be read, holds no session, or a line has fewer than two items.
    """
    path = root / files.sessions
    found = []
    for number, line in enumerate(read_lines(path), 1):
        session = tuple(line.split())
        if len(session) < 2:
            raise DataError(f"{path}:{number}: {len(session)} items; a session needs two, to learn what follows what")
        found.append(session)
    if not found:
        raise DataError(f"{path}: no sessions")
    return found


def read_cases(files: CaseList, root: Path) -> list[Case]:
    """All test cases of a file.

    Raises:
        DataError: the file cannot be read, holds no case, or a line is not `prefix<TAB>target`.
    """
    path = root / files.cases
    found = []
    for number, line in enumerate(read_lines(path), 1):
        prefix, _, target = line.partition("\t")
        if not prefix.split() or len(target.split()) != 1:
            raise DataError(f"{path}:{number}: must read items separated by spaces, a tab, one target item")
        found.append(Case(tuple(prefix.split()), target.strip()))
    if not found:
        raise DataError(f"{path}: no cases")
    return found


def expand(sessions: list[Session]) -> Iterator[Case]:
    """Every prefix of every session, with the item that followed it."""
    for session in sessions:
        for length in range(1, len(session)):
            yield Case(session[:length], session[length])


def carve_latest(sessions: list[Session], share: float) -> tuple[list[Session], list[Session]]:
    """Training and validation parts of sessions in the order of time: the latest `share` of them validates.

    Raises:
        DataError: there are too few for both.
    """
    start = len(sessions) - int(len(sessions) * share)
    if start == len(sessions):
        raise DataError(f"{len(sessions)} sessions are too few to carve a validation set of {share:.1%} from")
    return sessions[:start], sessions[start:]


def read_events(table: EventTable, root: Path) -> tuple[list[Session], list[Session]]:
    """Training and test sessions of a table of events, each in the order of the sessions' ends.

    Events of equal time stay in the order of the file.

    Raises:
        DataError: the file cannot be read, a row is broken, or the filters leave nothing to train on.
    """
    path = root / table.table
    events: defaultdict[str, list[_Event]] = defaultdict(list)
    for order, (session, item, time) in enumerate(_rows(table, path)):
        events[session].append(_Event(time, order, item))
    ordered = sorted((sorted(of_session) for of_session in events.values()), key=lambda session: session[-1])
    if not ordered:
        raise DataError(f"{path}: no events")
    start = _first_tested(table, [session[-1].time for session in ordered])
    train, test = ([tuple(e.item for e in session) for session in part] for part in (ordered[:start], ordered[start:]))
    train = _filtered(train, table)
    if not train:
        least = f"min_item_count {table.min_item_count}, min_session_length {table.min_session_length}"
        raise DataError(f"{path}: no training session is left after the time split and the filters ({least})")
    return train, [session for session in test if len(session) >= table.min_session_length]


def _first_tested(table: EventTable, ends: list[float]) -> int:
    """Index of the first test session among sessions in the order of their ends."""
    if table.test_days is None:
        return len(ends) - int(len(ends) * table.test_fraction)
    cut = ends[-1] - table.test_days * SECONDS_PER_DAY
    return sum(end <= cut for end in ends)


def _filtered(sessions: list[Session], table: EventTable) -> list[Session]:
    """Without rare items and short sessions; leaving out either may make more of the other."""
    while True:
        counts = Counter(item for session in sessions for item in session)
        kept = [tuple(i for i in session if counts[i] >= table.min_item_count) for session in sessions]
        kept = [session for session in kept if len(session) >= table.min_session_length]
        if kept == sessions:
            return kept
        sessions = kept


def _rows(table: EventTable, path: Path) -> Iterator[tuple[str, str, float]]:
    """Session, item and time of every event."""
    quoted = table.separator != "\t"  # tab-separated files have no quoting
    reader = csv.reader(
        read_lines(path), delimiter=table.separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    names = next(reader, []) if table.header else []
    wanted = [find_column(column, names, path) for column in (table.session, table.item, table.time)]
    for cells in reader:
        place = f"{path}:{reader.line_num}"
        if len(cells) <= max(wanted):
            raise DataError(f"{place}: {len(cells)} columns, column {max(wanted)} is asked for")
        session, item, time = (cells[index].strip() for index in wanted)
        if not session or not item:
            raise DataError(f"{place}: the {'item' if session else 'session'} is empty")
        if len(item.split()) > 1:
            raise DataError(f"{place}: item {item!r} contains a space")
        yield session, item, _seconds(time, place)


def _seconds(time: str, place: str) -> float:
    try:
        seconds = float(time)
    except ValueError:
        seconds = _iso_seconds(time)
    if not math.isfinite(seconds):
        raise DataError(f"{place}: time {time!r} is neither a number nor ISO 8601")
    return seconds


def _iso_seconds(time: str) -> float:
    """Seconds of an ISO 8601 time, UTC where it names no zone; not a number when it is not one."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
