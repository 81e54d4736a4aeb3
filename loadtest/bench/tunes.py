"""How good tunes in ABC notation are: whether they can be played, as they were asked for, and whether they are new."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

import symusic

from contract.midi import TuneError, play
from contract.tunes import Tune

METRES = {"4/4": (4, 4), "6/8": (6, 8), "3/4": (3, 4), "2/4": (2, 4)}
KEYS = {"G": (1, 0), "D": (2, 0), "A": (3, 0), "C": (0, 0), "Em": (1, 1)}
"""What is asked for, and how a MIDI file says it: sharps, and whether it is minor."""
EACH = 10
"""Tunes of every metre and key."""
SEED = 1
"""Of the tunes that are judged; how to draw was chosen on those of other seeds."""

_CHORDS = re.compile(r'"[^"]*"|\s')
_BAR_LINE = re.compile(r"[|:\[\]]*[|:][|:\[\]\d]*")


@dataclass(frozen=True)
class Asked:
    """A metre and a key."""

    metre: str
    key: str

    @property
    def prompt(self) -> str:
        """What asks for them."""
        return f"M:{self.metre}\nK:{self.key}\n"


ASKED = [Asked(*pair) for pair in product(METRES, KEYS) for _ in range(EACH)]
"""Two hundred tunes."""


@dataclass(frozen=True)
class _Verdict:
    """What a tune that is accepted is found to be."""

    metre: bool
    key: bool
    bars: int
    uneven: int


def judge_tunes(found: Sequence[tuple[Asked, str]], known: Sequence[Tune]) -> dict[str, float]:
    """Scores of ABC files, with what each was asked to be, in points.

    *accepted*: the parser abc2midi finds no error. *in the metre*, *in the key*: it is accepted too, and has the
    signature asked for, throughout. *even bars*: of the bars of accepted tunes, those as long as the metre says; *even
    throughout*: tunes that are accepted and have no others. *known*: tunes whose notes are those of a tune in `known`;
    *longest known run*: the share of a tune's notes that one of these has in a row, in the median.
    """
    verdicts = [_judge(asked, tune) for asked, tune in found]
    accepted = [verdict for verdict in verdicts if verdict is not None]
    bars = sum(verdict.bars for verdict in accepted)
    uneven = sum(verdict.uneven for verdict in accepted)
    melodies = [_melody(tune) for tune in known]
    written = [_melody(Tune.parse(tune)) for _, tune in found]
    everything = "\n".join(melodies)
    runs = [_longest_run(melody, everything) / max(1, len(melody)) for melody in written]
    return {
        "accepted": _share((verdict is not None for verdict in verdicts), len(found)),
        "in the metre": _share((verdict.metre for verdict in accepted), len(found)),
        "in the key": _share((verdict.key for verdict in accepted), len(found)),
        "even bars": 100 * (1 - uneven / max(1, bars)),
        "even throughout": _share((verdict.uneven == 0 for verdict in accepted), len(found)),
        "known": _share((melody in melodies for melody in written), len(found)),
        "longest known run": 100 * median(runs),
    }


def _judge(asked: Asked, tune: str) -> _Verdict | None:
    try:
        played = play(tune)
    except TuneError:
        return None
    score: Any = symusic.Score.from_midi(played.midi)
    metres = {(each.numerator, each.denominator) for each in score.time_signatures}
    keys = {(each.key, each.tonality) for each in score.key_signatures}
    bars = sum(map(bool, _BAR_LINE.split(_melody(Tune.parse(tune)))))
    return _Verdict(metres == {METRES[asked.metre]}, keys == {KEYS[asked.key]}, bars, played.uneven)


def _melody(tune: Tune) -> str:
    """The notes alone, without chord symbols, spaces and line ends."""
    return _CHORDS.sub("", "".join(tune.music))


def _longest_run(text: str, everything: str) -> int:
    """Length of the longest part of a text that stands in another one."""
    longest = 0
    for start in range(len(text)):
        while start + longest < len(text) and text[start : start + longest + 1] in everything:
            longest += 1
    return longest


def _share(marks: Iterable[bool], count: int) -> float:
    return 100 * sum(marks) / count
