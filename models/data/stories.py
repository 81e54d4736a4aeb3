"""Stories with questions, in the format of the bAbI tasks (Weston et al. 2015).

A line starts with a number, which is 1 where a story begins. A line with tabs is a question: `3 question<TAB>answer`,
perhaps with the numbers of the lines that say so after another tab. Any other line is a sentence. An answer of several
things joins them by commas.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from contract.signature import Frozen
from models.data import lines
from models.data.lines import DataError, read_lines


class StoryFiles(Frozen):
    """Files of stories by a pattern (`stories/*_train.txt`), below the data folder or inside a tar archive there."""

    files: str
    archive: str | None = None


class Asked(NamedTuple):
    """A question asked after so many sentences of its story, and its answer."""

    after: int
    question: str
    answer: str


@dataclass(frozen=True)
class Story:
    """A story of a file, whose name without its ending is the `task`, and what is asked about it on the way."""

    task: str
    sentences: tuple[str, ...]
    asked: tuple[Asked, ...]


class Question(NamedTuple):
    """A question about what a story has told so far."""

    story: tuple[str, ...]
    question: str
    answer: str
    task: str


def read_stories(files: StoryFiles, root: Path) -> list[Story]:
    """The stories of all files that match, file by file in the order of their names.

    Raises:
        DataError: no file matches, one cannot be read, or a line is not of the format.
    """
    stories = [
        story
        for name, numbered in _matching(files, root)
        for story in _stories(PurePosixPath(name).stem, name, numbered)
    ]
    if not stories:
        place = root / (files.archive or "")
        raise DataError(f"{place}: no story in any file that matches {files.files!r}")
    return stories


def questions(stories: Iterable[Story]) -> list[Question]:
    """Every question with the part of its story that was told before it."""
    return [
        Question(story.sentences[: asked.after], asked.question, asked.answer, story.task)
        for story in stories
        for asked in story.asked
    ]


def carve(stories: Sequence[Story]) -> tuple[list[Story], list[Story]]:
    """Training and validation parts of a set without a validation split; equal stories stay on one side."""
    return lines.carve(stories, key=lambda story: "\n".join(story.sentences))


def _matching(files: StoryFiles, root: Path) -> Iterator[tuple[str, Iterable[str]]]:
    """Names of files and their lines."""
    if files.archive is None:
        for path in sorted(root.glob(files.files)):
            yield str(path), read_lines(path)
        return
    path = root / files.archive
    try:
        with tarfile.open(path) as archive:
            members = {member.name: member for member in archive if member.isfile()}
            for name in sorted(name for name in members if fnmatchcase(name, files.files)):
                content = archive.extractfile(members[name])
                assert content is not None  # only files were kept
                yield f"{path}:{name}", content.read().decode("utf-8").splitlines()
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as an archive of stories ({error})") from error


def _stories(task: str, name: str, numbered: Iterable[str]) -> Iterator[Story]:
    sentences: list[str] = []
    asked: list[Asked] = []
    for number, line in enumerate(numbered, 1):
        place, _, text = line.strip().partition(" ")
        if not place.isdecimal() or not text or (number == 1 and place != "1"):
            raise DataError(f"{name}:{number}: not a numbered sentence or question of a story that begins with 1")
        if place == "1" and sentences:
            yield Story(task, tuple(sentences), tuple(asked))
            sentences, asked = [], []
        if "\t" not in text:
            sentences.append(text.strip())
            continue
        question, answer = (part.strip() for part in text.split("\t")[:2])
        if not question or not answer or not sentences:
            missing = "sentence before the question" if question and answer else "question or no answer"
            raise DataError(f"{name}:{number}: there is no {missing}")
        asked.append(Asked(len(sentences), question, answer))
    if sentences:
        yield Story(task, tuple(sentences), tuple(asked))
