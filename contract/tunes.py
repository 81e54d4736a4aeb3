"""Tunes in ABC notation (abcnotation.com, version 2.1): the form in which models read and write them.

A model's tune is its metre, unit length and key, in any order, and the music: `M:6/8`, `L:1/8` and `K:D`, a line each.
Number, title and all else that is said about a tune and not played is left out, and put back by `complete`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

METRE, UNIT, KEY = "M", "L", "K"
FIELDS = (METRE, UNIT, KEY)
"""Fields that decide how a tune sounds, in the order in which a complete tune has them."""

_FIELD = re.compile(r"([A-Za-z]):(?![|:])(.*)")
"""A line that says something about the tune; `d:|` is music, a note before the end of a repeat."""
_FRACTION = re.compile(r"([0-9]{1,4})/([1-9][0-9]{0,3})")
"""A metre that can be one: whoever sends a prompt, or a model, may write anything."""


@dataclass(frozen=True)
class Tune:
    """A tune: its fields in the order in which they were given, and the lines of music, in which fields may change."""

    fields: dict[str, str]
    music: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Tune:
        """Read a tune, or the beginning of one; comments and what does not sound are dropped.

        Raises:
            ValueError: a field says nothing.
        """
        fields: dict[str, str] = {}
        music: list[str] = []
        for line in _lines(text):
            if (field := _FIELD.fullmatch(line)) is None:
                music.append(line)
                continue
            name, value = field[1], field[2].strip()
            if name not in FIELDS:
                continue
            if not value:
                raise ValueError(f"the field {name}: says nothing; write it like {name}:{_EXAMPLES[name]}")
            if music:
                music.append(f"{name}:{value}")
            else:
                fields[name] = value
        return cls(fields, tuple(music))

    def defaulted(self) -> Tune:
        """The tune with what its fields leave out, as the standard has it.

        Raises:
            ValueError: it has no key.
        """
        if KEY not in self.fields:
            raise ValueError("a tune with music needs a key; begin it with a line like K:D")
        metre = self.fields.get(METRE, "4/4")
        return Tune({METRE: metre, UNIT: default_unit(metre)} | self.fields, self.music)

    def written(self, order: Sequence[str] = FIELDS) -> str:
        """The tune as models write it: its fields in an order, a line each, then the music."""
        fields = [f"{name}:{self.fields[name]}" for name in order if name in self.fields]
        return "\n".join([*fields, *self.music])


def default_unit(metre: str) -> str:
    """The unit length of a tune that does not name one: a sixteenth in metres shorter than 3/4, else an eighth."""
    fraction = _FRACTION.fullmatch(metre)
    short = fraction is not None and Fraction(int(fraction[1]), int(fraction[2])) < Fraction(3, 4)
    return "1/16" if short else "1/8"


def prompt(text: str) -> str:
    """The beginning of a tune as a model goes on with it.

    Before any music fields may be missing: the model chooses those. Number and title are dropped.

    Raises:
        ValueError: a field says nothing, or there is music without a key.
    """
    tune = Tune.parse(text)
    if tune.music:
        return tune.defaulted().written()
    return "".join(f"{name}:{value}\n" for name, value in tune.fields.items())


def complete(text: str, title: str, number: int = 1) -> str:
    """A model's tune as a file of its own: with number and title, fields in the order that the standard wants.

    Raises:
        ValueError: it has no key.
    """
    return f"X:{number}\nT:{title}\n{Tune.parse(text).defaulted().written()}\n"


_EXAMPLES = {METRE: "6/8", UNIT: "1/8", KEY: "D"}


def _lines(text: str) -> list[str]:
    """Lines without comments and outer spaces, those that a backslash continues in one; empty ones are dropped."""
    stripped = "\n".join(line.split("%")[0].strip() for line in text.splitlines())
    joined = stripped.replace("\\\n", "").split("\n")
    return [line.strip() for line in joined if line.strip()]
