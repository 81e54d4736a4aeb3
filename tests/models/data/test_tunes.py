from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models.data.lines import DataError
from models.data.tunes import read_tunes

DATA = Path(__file__).parents[2] / "data"


def test_tunes_stand_between_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "tunes.abc.gz"
    path.write_bytes(gzip.compress(b"\n\nX:1\nM:2/4\nK:D\nDF|\nA2|\n \n\nX:2\nM:6/8\nL:1/4\nK:G\nGBd|"))
    first, second = read_tunes(path)
    assert first.written() == "M:2/4\nL:1/16\nK:D\nDF|\nA2|"
    assert second.written() == "M:6/8\nL:1/4\nK:G\nGBd|"


def test_the_tunes_of_the_tests_are_read() -> None:
    tunes = read_tunes(DATA / "tunes" / "train.abc")
    assert len(tunes) == 60
    assert {tune.fields["K"] for tune in tunes} == set("CGDF")
    assert {tune.fields["L"] for tune in tunes} == {"1/8"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "tunes.abc: no tunes"),
        ("K:D\nD|\n\nM:6/8\nDFA|\n", r"tunes.abc:4: .*needs a key"),
        ("K:D\nD|\n\nX:2\nK:G\n", "tunes.abc:4: a tune without music"),
        ("K:\nD|\n", "tunes.abc:1: the field K: says nothing"),
    ],
)
def test_a_broken_tune_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "tunes.abc").write_text(content)
    with pytest.raises(DataError, match=message):
        read_tunes(tmp_path / "tunes.abc")
