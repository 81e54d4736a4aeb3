from __future__ import annotations

import pytest

from contract.tunes import Tune
from loadtest.bench.tunes import ASKED, Asked, judge_tunes

JIG = Asked("6/8", "D")
HEADER = "X:1\nT:a\nM:6/8\nL:1/8\nK:D\n"
GOOD = f'{HEADER}|:"D"DFA dAF|"A"c3 A3:|'
LONG_BAR = f"{HEADER}DFA dAF|DFA dAFd|c3 A3|d6|"
NONSENSE = f"{HEADER}H[[q/ (((|"
OTHER = [Tune({}, ("GBd gdB|",))]


def test_two_hundred_are_asked_for() -> None:
    assert len(ASKED) == 200
    assert len({each.prompt for each in ASKED}) == 20
    assert JIG.prompt == "M:6/8\nK:D\n"


@pytest.mark.parametrize(
    ("tune", "expected"),
    [
        (GOOD, (100, 100, 100, 100, 100)),
        (LONG_BAR, (100, 100, 100, 75, 0)),
        (NONSENSE, (0, 0, 0, 100, 0)),
        ("", (0, 0, 0, 100, 0)),
        (GOOD.replace("M:6/8", "M:3/4"), (100, 0, 100, 100, 100)),
        (GOOD.replace("K:D", "K:Bm"), (100, 100, 0, 100, 100)),
        (GOOD.replace('"A"c3', "[K:G]c3"), (100, 100, 0, 100, 100)),
    ],
)
def test_a_tune_is_judged_by_the_parser(tune: str, expected: tuple[float, ...]) -> None:
    scores = judge_tunes([(JIG, tune)], OTHER)
    names = ("accepted", "in the metre", "in the key", "even bars", "even throughout")
    assert tuple(scores[name] for name in names) == expected


def test_shares_are_of_all_tunes_and_bars_of_those_accepted() -> None:
    scores = judge_tunes([(JIG, GOOD), (JIG, NONSENSE), (JIG, LONG_BAR), (JIG, GOOD)], OTHER)
    assert scores["accepted"] == scores["in the key"] == 75
    assert scores["even throughout"] == 50
    assert scores["even bars"] == 100 * 7 / 8


def test_what_is_copied_is_found_behind_spaces_and_chords() -> None:
    known = [Tune({}, ('|: "G"DFA d AF|', "c3 A3:|")), Tune({}, ("dAFd|c3",))]
    whole = judge_tunes([(JIG, GOOD)], known)
    assert whole["known"] == whole["longest known run"] == 100
    part = judge_tunes([(JIG, f"{HEADER}gg|dAFd|gg|")], known)
    assert part["known"] == 0
    assert part["longest known run"] == pytest.approx(100 * len("dAFd|") / len("gg|dAFd|gg|"))
