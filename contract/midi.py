"""A tune in ABC notation as a MIDI file, by the reference parser `abc2midi`, which the package `symusic` ships.

It is a program of its own: what a malformed tune does to it, it does not do to the process that asked.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

_SECONDS = 2
_LARGEST = 2048
"""Blocks of 512 bytes."""
_BOUNDED = f'ulimit -t {_SECONDS} && ulimit -f {_LARGEST} && exec "$@"'
_FAULT = re.compile(r"^Error in line-char (\d+)-(\d+)\s*:\s*(.*)$", re.MULTILINE)
_UNEVEN = re.compile(r"^Warning in line-char \S+\s*: (Track \d+ Bar \d+) has ", re.MULTILINE)
_INSTRUCTIONS = re.compile(r"%.*|^[IUm]:.*", re.MULTILINE)
_INLINE_INSTRUCTIONS = re.compile(r"\[[IUm]:[^\]\n]*\]?")
_MOST_FAULTS = 3


class TuneError(ValueError):
    """What was written is no tune; `faults` say where: lines count from 1, characters from 0."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


@dataclass(frozen=True)
class Played:
    """A tune that the parser accepts, as a MIDI file.

    `uneven` counts the bars that are longer or shorter than the metre says, as the parser sees them: the first bar may
    be an upbeat, and before a repeat the last one and the upbeat it goes back to are one bar.
    """

    midi: bytes
    uneven: int


def to_midi(tune: str) -> bytes:
    """The MIDI file of a tune.

    Raises:
        TuneError: as `play` does.
    """
    return play(tune).midi


def play(tune: str) -> Played:
    """A tune as it is played: repeats, and chord symbols as accompaniment.

    Comments and instructions to programs (`%`, `I:`, `U:`, `m:`) are left out: some would have files read.

    Args:
        tune: its header, which starts with `X:`, and its notes.

    Raises:
        TuneError: the parser finds a fault in it, or no tune, or is not done with it within bounds of time and size.
    """
    with TemporaryDirectory(prefix="tune-") as folder:
        source, target = Path(folder, "tune.abc"), Path(folder, "tune.mid")
        source.write_text(_without_instructions(tune) + "\n", encoding="utf-8", newline="\n")
        command = ["/bin/sh", "-c", _BOUNDED, "sh", str(_parser()), source.name, "-o", target.name]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=2 * _SECONDS, check=False)  # noqa: S603  # no shell sees the tune
        except subprocess.TimeoutExpired:
            raise TuneError([f"it takes the parser longer than {_SECONDS} s"]) from None
        told = done.stdout.decode("utf-8", "replace")
        faults = [f"line {line}, character {place}: {fault}" for line, place, fault in _FAULT.findall(told)]
        if faults:
            raise TuneError(faults[:_MOST_FAULTS])
        if done.returncode:
            raise TuneError([f"the parser ended with code {done.returncode}"])
        if not target.exists():
            raise TuneError(["there is no tune in it"])
        return Played(target.read_bytes(), len(set(_UNEVEN.findall(told))))


def _without_instructions(tune: str) -> str:
    """Comments stay as empty ones, so that lines keep their numbers and none is blank, which would end the tune."""
    return _INLINE_INSTRUCTIONS.sub("", _INSTRUCTIONS.sub("%", tune))


@cache
def _parser() -> Path:
    """The program. Its package is found, not imported: its own libraries are of no use here."""
    package = find_spec("symusic")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("tunes are read by the package symusic: install it, or the extra serve")
    return Path(package.origin).parent / "bin" / "abc2midi"
