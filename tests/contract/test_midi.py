from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import midi
from contract.midi import TuneError, play, to_midi

HEADER = "X:1\nM:6/8\nL:1/8\nK:D\n"


def pitches(tune: str) -> list[list[int]]:
    """Pitches of every track with notes, as another reader of MIDI files finds them."""
    tracks: Any = symusic.Score.from_midi(to_midi(tune)).tracks  # type: ignore[attr-defined]
    return [[note.pitch for note in track.notes] for track in tracks if len(track.notes)]


def test_notes_are_those_of_the_key() -> None:
    assert pitches(HEADER + "DEF GAB|c3 z3|") == [[62, 64, 66, 67, 69, 71, 73]]


def test_repeats_are_played_and_chords_accompany() -> None:
    melody, *accompaniment = pitches(HEADER + '|:"D"DFA dAF:|')
    assert melody == [62, 66, 69, 74, 69, 66] * 2
    assert {pitch % 12 for track in accompaniment for pitch in track} == {2, 6, 9}


@pytest.mark.parametrize(
    ("music", "uneven"),
    [("DEF GAB|c3 z3|", 0), ("|:A|DEF GAB|c3 z2:|", 0), ("DEF GAB|DEF GABc|DEF|c3 z3|", 2), ("|:DEF:|", 1)],
)
def test_bars_that_are_not_as_long_as_the_metre_says_are_counted(music: str, uneven: int) -> None:
    assert play(HEADER + music).uneven == uneven


@pytest.mark.parametrize(
    ("tune", "fault"),
    [
        ("", "No tune processed"),
        ("M:6/8\nK:D\nDEF|", "No tune processed. Possible missing X: field"),
        (HEADER + "DEF|\nD ^ F|", "line 6, character 2: Malformed note"),
        (HEADER + "(3(3DEF", "nested tuples"),
        ("hello\n", "No tune processed"),
    ],
)
def test_faults_say_where_they_are(tune: str, fault: str) -> None:
    with pytest.raises(TuneError) as caught:
        to_midi(tune)
    assert fault in str(caught.value)
    assert len(caught.value.faults) <= 3


@pytest.mark.parametrize("instruction", ["%%abc-include {}", "I:abc-include {}", "% {}", "DEF [I:abc-include {}] |"])
def test_a_tune_reads_no_files(tmp_path: Path, instruction: str) -> None:
    other = tmp_path / "other.abc"
    other.write_text("GGG|\n", encoding="ascii")
    expected = [[62, 64, 66] * (2 if instruction.startswith("DEF") else 1)]
    assert pitches(HEADER + instruction.format(other) + "\nDEF|") == expected


def test_what_takes_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi, "_BOUNDED", 'ulimit -f 1 && exec "$@"')
    with pytest.raises(TuneError, match="ended with code"):
        to_midi(HEADER + "DEF GAB|" * 300)
    monkeypatch.setattr(midi, "_BOUNDED", "sleep 30")
    monkeypatch.setattr(midi, "_SECONDS", 0.05)
    with pytest.raises(TuneError, match="longer than"):
        to_midi(HEADER + "DEF|")


@settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=200))
def test_any_text_is_a_tune_or_a_tune_error(body: str) -> None:
    with suppress(TuneError):
        assert to_midi(HEADER + body).startswith(b"MThd")
