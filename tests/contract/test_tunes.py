from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.midi import to_midi
from contract.tunes import FIELDS, Tune, complete, default_unit, prompt

FILE = """X: 7
T:A tune
% where it comes from
S:someone
M:6/8
K:D
P:A
|:"D"DFA dAF|\\
"A"c3 A3 % the end of a line
K: G
GBd gdB:|
d:|
"""
MUSIC = '|:"D"DFA dAF|"A"c3 A3\nK:G\nGBd gdB:|\nd:|'
FIELD_VALUES = st.fixed_dictionaries(
    {
        "M": st.sampled_from(["4/4", "6/8", "C", "2/4"]),
        "L": st.sampled_from(["1/8", "1/4"]),
        "K": st.sampled_from("ADG"),
    }
)


def test_what_does_not_sound_is_left_out_and_continued_lines_are_one() -> None:
    tune = Tune.parse(FILE)
    assert tune.fields == {"M": "6/8", "K": "D"}
    assert "\n".join(tune.music) == MUSIC


def test_what_a_tune_leaves_out_is_what_the_standard_says() -> None:
    assert Tune.parse(FILE).defaulted().written() == f"M:6/8\nL:1/8\nK:D\n{MUSIC}"
    assert Tune({"K": "D"}, ("D",)).defaulted().fields == {"M": "4/4", "L": "1/8", "K": "D"}
    with pytest.raises(ValueError, match="begin it with a line like K:D"):
        Tune({"M": "4/4"}, ("D",)).defaulted()


@pytest.mark.parametrize(
    ("metre", "unit"),
    [
        ("2/4", "1/16"),
        ("6/8", "1/8"),
        ("3/4", "1/8"),
        ("4/4", "1/8"),
        ("C", "1/8"),
        ("11/16", "1/16"),
        ("4/0", "1/8"),
        ("1/" + "9" * 5_000, "1/8"),
    ],
)
def test_the_unit_follows_from_the_metre(metre: str, unit: str) -> None:
    assert default_unit(metre) == unit


@given(fields=FIELD_VALUES, order=st.permutations(FIELDS), music=st.lists(st.sampled_from(["DFA|", "d:|", "|:A2"])))
def test_a_written_tune_reads_as_it_was_in_any_order(
    fields: dict[str, str], order: list[str], music: list[str]
) -> None:
    tune = Tune(fields, tuple(music))
    written = tune.written(order)
    assert Tune.parse(written) == tune
    assert list(Tune.parse(written).fields) == order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("M:6/8\nK:D\n", "M:6/8\nK:D\n"),
        ("K:D\r\nM: 6/8", "K:D\nM:6/8\n"),
        ("X:1\nT:Mine\nK:G", "K:G\n"),
        ("X:1\nM:6/8\nK:D\n|:DFA ", "M:6/8\nL:1/8\nK:D\n|:DFA"),
        ("K:G\nd:|", "M:4/4\nL:1/8\nK:G\nd:|"),
    ],
)
def test_a_prompt_is_brought_into_the_form_that_a_model_goes_on_from(text: str, expected: str) -> None:
    assert prompt(text) == expected
    assert prompt(prompt(text)) == prompt(text)


@pytest.mark.parametrize(
    ("text", "message"), [("M:\n", "M: says nothing; write it like M:6/8"), ("M:6/8\nDFA|", "music needs a key")]
)
def test_prompts_that_begin_no_tune_say_what_to_change(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prompt(text)


@given(text=st.text(alphabet="MLKX:/041 \n%abc|[]\u2028"))
def test_whatever_is_sent_is_a_prompt_or_is_told_what_to_change(text: str) -> None:
    try:
        told = prompt(text)
    except ValueError as error:
        told = str(error)
        expected = told.endswith("begin it with a line like K:D") or "says nothing; write it like" in told
    else:
        expected = prompt(told) == told
    assert expected, told


def test_a_completed_tune_can_be_played_whatever_the_order_of_its_fields() -> None:
    tune = complete("K:D\nL:1/8\nM:6/8\nDFA dAF|", "Reel 7", number=7)
    assert tune == "X:7\nT:Reel 7\nM:6/8\nL:1/8\nK:D\nDFA dAF|\n"
    assert to_midi(tune).startswith(b"MThd")


def test_the_tunes_of_the_tests_are_tunes() -> None:
    book = Path(__file__).parents[1] / "data" / "tunes" / "train.abc"
    first = book.read_text("ascii").split("\n\n")[0]
    assert complete(first, "Exercise 1").splitlines() == first.splitlines()
