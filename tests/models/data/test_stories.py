from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from models.data.lines import DataError
from models.data.stories import Asked, Question, Story, StoryFiles, carve, questions, read_stories

TEXT = """1 Ada walked to the barn.
2 Where is Ada? \tbarn\t1
3 Ada took the cup.
4 Ada took the hat.
5 What does Ada hold?\tcup,hat\t3 4
1 Ben is hungry.
2 Why?\thungry
"""
STORIES = [
    Story(
        "t1_train",
        ("Ada walked to the barn.", "Ada took the cup.", "Ada took the hat."),
        (Asked(1, "Where is Ada?", "barn"), Asked(3, "What does Ada hold?", "cup,hat")),
    ),
    Story("t1_train", ("Ben is hungry.",), (Asked(1, "Why?", "hungry"),)),
]


def pack(path: Path, **members: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"en/{name}.txt")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_files_and_members_of_an_archive_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "t1_train.txt").write_text(TEXT)
    (tmp_path / "t2_test.txt").write_text("1 It rains.\n")
    pack(tmp_path / "all.tar.gz", t1_train=TEXT.encode(), t2_test=b"1 It rains.\n")
    assert read_stories(StoryFiles(files="*_train.txt"), tmp_path) == STORIES
    assert read_stories(StoryFiles(archive="all.tar.gz", files="en/*_train.txt"), tmp_path) == STORIES


def test_files_follow_each_other_by_their_names(tmp_path: Path) -> None:
    pack(tmp_path / "all.tar.gz", b=b"1 Second.\n", a=b"1 First.\n")
    stories = read_stories(StoryFiles(archive="all.tar.gz", files="*"), tmp_path)
    assert [(story.task, story.sentences) for story in stories] == [("a", ("First.",)), ("b", ("Second.",))]


def test_a_question_is_asked_of_what_was_told_before_it() -> None:
    assert questions(STORIES) == [
        Question(STORIES[0].sentences[:1], "Where is Ada?", "barn", "t1_train"),
        Question(STORIES[0].sentences, "What does Ada hold?", "cup,hat", "t1_train"),
        Question(("Ben is hungry.",), "Why?", "hungry", "t1_train"),
    ]


def test_all_questions_of_a_story_stay_on_one_side_and_so_do_equal_stories() -> None:
    told = [Story("t", (f"It is {i} o'clock.",), (Asked(1, "When?", str(i)),)) for i in (*range(100), *range(100))]
    train, validation = carve(told)
    assert len(train) + len(validation) == 200
    assert 4 < len(validation) < 40
    assert not {story.sentences for story in train} & {story.sentences for story in validation}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 It rains.\n", "t.txt:1: not a numbered sentence or question of a story that begins with 1"),
        ("1 It rains.\nIt snows.\n", "t.txt:2: not a numbered sentence"),
        ("1 It rains.\n2\n", "t.txt:2: not a numbered sentence"),
        ("1 Why?\tso\n", "t.txt:1: there is no sentence before the question"),
        ("1 It rains.\n2 Why?\t\t1\n", "t.txt:2: there is no question or no answer"),
        ("", r"no story in any file that matches 't\.txt'"),
    ],
)
def test_what_is_not_of_the_format_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_stories(StoryFiles(files="t.txt"), tmp_path)


def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "all.tar.gz").write_bytes(b"no archive")
    for archive in ("all.tar.gz", "missing.tar.gz"):
        with pytest.raises(DataError, match=rf"{archive}: cannot be read as an archive of stories"):
            read_stories(StoryFiles(archive=archive, files="*"), tmp_path)
    pack(tmp_path / "latin.tar.gz", t=b"1 Caf\xe9.\n")
    with pytest.raises(DataError, match="cannot be read as an archive of stories"):
        read_stories(StoryFiles(archive="latin.tar.gz", files="*"), tmp_path)
