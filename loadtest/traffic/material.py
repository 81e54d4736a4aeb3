"""What is asked about: a folder of one's own texts, sessions, stories and pictures, or the samples shipped here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from loadtest.pictures import load_pictures

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
_PICTURES = "pictures"
_MADE_UP, _MOST = 8, 64
"""Pictures that are made up, or taken from a folder."""

_Item = TypeVar("_Item")


class MaterialError(ValueError):
    """A data folder that cannot be used; the message says which file and what to change."""


@dataclass(frozen=True)
class Story:
    """Sentences, and a question about them."""

    sentences: list[str]
    question: str


@dataclass(frozen=True)
class Material:
    """What each task asks about; of sessions and stories None are shipped: they are made up."""

    translate: list[str]
    classify: list[str]
    tag: list[str]
    generate: list[str]
    pictures: list[bytes]
    sessions: list[list[int | str]] | None
    stories: list[Story] | None


def load_material(folder: Path | None) -> Material:
    """Material of a folder; for what it does not hold, the samples.

    `translate.txt`, `classify.txt`, `tag.txt`: a text a line. `recommend.txt`: a session a line, items parted by
    spaces. `answer.jsonl`: `{"story": […], "question": …}` a line. `generate.jsonl`: a prompt, as a JSON string, a
    line. `pictures/`: JPEG, PNG, WebP or GIF files.

    Raises:
        MaterialError: there is no such folder, it holds none of these, or a file cannot be read.
        NoPicturesError: its folder of pictures is empty.
    """
    files = _Files(folder)
    material = Material(
        translate=files.shipped("translate.txt", str),
        classify=files.shipped("classify.txt", str),
        tag=files.shipped("tag.txt", str),
        generate=files.shipped("generate.jsonl", _prompt),
        pictures=files.pictures(),
        sessions=files.own("recommend.txt", _session),
        stories=files.own("answer.jsonl", _story),
    )
    files.check_used()
    return material


class _Files:
    """Reads a folder and remembers whether it held anything."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise MaterialError(
                f"{folder} is no folder: --data names one that holds translate.txt, pictures/ or the like"
            )
        self._folder = folder
        self._used = folder is None

    def shipped(self, name: str, parse: Callable[[str], _Item]) -> list[_Item]:
        own = self.own(name, parse)
        return _read(SAMPLES / name, parse) if own is None else own

    def own(self, name: str, parse: Callable[[str], _Item]) -> list[_Item] | None:
        if self._folder is None or not (self._folder / name).is_file():
            return None
        self._used = True
        return _read(self._folder / name, parse)

    def pictures(self) -> list[bytes]:
        if self._folder is None or not (self._folder / _PICTURES).is_dir():
            return _made_up()
        self._used = True
        return load_pictures(_MOST, self._folder / _PICTURES)

    def check_used(self) -> None:
        if not self._used:
            raise MaterialError(f"{self._folder} holds nothing to ask about: it should have translate.txt or the like")


@cache
def _made_up() -> list[bytes]:
    """Pictures that are made up, which takes a second."""
    return load_pictures(_MADE_UP)


def _read(path: Path, parse: Callable[[str], _Item]) -> list[_Item]:
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            items.append(parse(line))
        except (ValueError, KeyError, TypeError) as error:
            raise MaterialError(f"{path}, line {number}: {error!r}") from error
    if not items:
        raise MaterialError(f"{path} is empty: it should hold one item a line, or not be there")
    return items


def _session(line: str) -> list[int | str]:
    return [int(item) if item.lstrip("-").isdigit() else item for item in line.split()]


def _prompt(line: str) -> str:
    prompt = json.loads(line)
    if not isinstance(prompt, str):
        raise ValueError(f"{line} is no JSON string")
    return prompt


def _story(line: str) -> Story:
    content: dict[str, Any] = json.loads(line)
    return Story([str(sentence) for sentence in content["story"]], str(content["question"]))
