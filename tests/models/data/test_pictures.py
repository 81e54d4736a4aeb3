from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from models.data.lines import DataError
from models.data.pictures import find_pictures


def shard(path: Path, *, mode: str = "w", **files: bytes) -> None:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        tar.addfile(tarfile.TarInfo("a.folder"))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)


def test_folders_and_shards_are_read_where_they_lie(tmp_path: Path) -> None:
    shard(tmp_path / "one.tar", a=b"first", b=b"second" * 200)
    (tmp_path / "loose" / "deep").mkdir(parents=True)
    (tmp_path / "loose" / "deep" / "c.jpg").write_bytes(b"third")
    found = find_pictures(["one.tar", "loose"], tmp_path)
    assert {name: file.read() for name, file in found.items() if file.size} == {
        "a.jpg": b"first",
        "b.jpg": b"second" * 200,
        "deep/c.jpg": b"third",
    }
    assert str(found["b.jpg"]) == f"{tmp_path}/one.tar:b.jpg"
    assert str(found["deep/c.jpg"]) == f"{tmp_path}/loose/deep/c.jpg"


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    shard(tmp_path / "one.tar", a=b"first")
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "a.jpg").write_bytes(b"another")
    with pytest.raises(DataError, match=r"loose/a\.jpg: .*one\.tar:a\.jpg has the same name; leave one of them out"):
        find_pictures(["one.tar", "loose"], tmp_path)


def test_what_is_neither_a_folder_nor_a_plain_shard_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "small.tar.gz", mode="w:gz", a=b"first")
    (tmp_path / "no.tar").write_bytes(b"nothing of the kind" * 100)
    for place in ("small.tar.gz", "no.tar", "missing"):
        with pytest.raises(DataError, match=rf"{place}: neither a folder nor an uncompressed tar shard of pictures"):
            find_pictures([place], tmp_path)


def test_a_picture_that_has_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"first")
    found = find_pictures(["."], tmp_path)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read"):
        found["a.jpg"].read()
