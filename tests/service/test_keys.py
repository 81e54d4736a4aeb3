"""The file of API keys, without a server."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service import keys
from service.__main__ import app
from service.keys import Key, KeyFile, KeyFileError, draw_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def write(path: Path, *lines: str) -> None:
    """Replaced in one move, as an operator should."""
    fresh = path.with_suffix(".new")
    fresh.write_text("\n".join(("# who may ask", "", *lines)), encoding="utf-8")
    fresh.replace(path)


def found(file: KeyFile, key: str) -> Key | None:
    return file.find(key.encode())


def test_a_key_is_found_by_its_hash_alone(path: Path) -> None:
    key, line = draw_key("acme", ["tag", "classify"])
    write(path, f"{line}  # until June", draw_key("other")[1])
    assert key.partition(".")[2] not in path.read_text()
    file = KeyFile(path)
    known = found(file, key)
    assert known is not None
    assert (known.name, known.tasks) == ("acme", {"classify", "tag"})
    _, secret = key.split(".")
    for wrong in ("", "acme", "acme.", key[:-1], f"{key}x", f"other.{secret}", f"nobody.{secret}", secret, line, "é"):
        assert found(file, wrong) is None
    assert file.find(b"\xff.\x00") is None


def test_no_two_keys_are_the_same() -> None:
    drawn = {draw_key("acme")[0] for _ in range(100)}
    assert len(drawn) == 100
    assert {len(key) for key in drawn} == {len("acme.") + 43}


def test_two_keys_of_one_name_are_taken_while_one_replaces_the_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 0.0)
    (old, old_line), (new, new_line) = draw_key("acme"), draw_key("acme")
    write(path, old_line)
    file = KeyFile(path)
    assert (found(file, old) is not None, found(file, new) is not None) == (True, False)
    write(path, old_line, new_line)
    assert (found(file, old) is not None, found(file, new) is not None) == (True, True)
    write(path, new_line)
    assert (found(file, old) is not None, found(file, new) is not None) == (False, True)
    write(path)
    assert found(file, new) is None


def test_a_file_that_is_spoilt_while_it_is_in_use_locks_nobody_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(logging.getLogger("bentoml"), "propagate", True)
    key, line = draw_key("acme")
    write(path, line)
    file = KeyFile(path)
    write(path, f"acme {key}")
    assert found(file, key) is not None
    assert found(file, key) is not None
    path.unlink()
    assert found(file, key) is not None
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 2
    assert "line 3" in told[0]
    assert "No such file" in told[1]
    assert key not in caplog.text


def test_the_file_is_looked_at_no_more_than_once_a_second(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, line = draw_key("acme")
    write(path, line)
    file = KeyFile(path)
    path.unlink()
    monkeypatch.setattr(keys, "_stamp", lambda _: pytest.fail("looked at again"))
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 1e6)
    file._next_look += 1e6
    assert found(file, key) is not None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("acme", "line 3: not NAME sha256:HASH"),
        ("acme sha256:123", "line 3: not NAME sha256:HASH"),
        ("a.b sha256:" + "0" * 64, "line 3: not NAME sha256:HASH"),
        (f"acme sha256:{'0' * 64} sing", "line 3: names a task that there is not; there is translate, "),
    ],
)
def test_a_line_that_is_none_is_named_but_not_quoted(path: Path, line: str, told: str) -> None:
    write(path, line)
    with pytest.raises(KeyFileError, match=re.escape(told)) as caught:
        KeyFile(path)
    assert "sing" not in str(caught.value)


def test_a_file_that_there_is_not_is_told(path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        KeyFile(path)
    path.write_bytes(b"\xff")
    with pytest.raises(KeyFileError, match="cannot be read: it is not UTF-8"):
        KeyFile(path)


def test_the_command_draws_a_key_and_prints_its_line_alone(path: Path) -> None:
    result = CliRunner().invoke(app, ["key", "acme", "--task", "classify"])
    assert result.exit_code == 0
    path.write_text(result.stdout)
    known = KeyFile(path).find(result.stderr.removeprefix("key: ").strip().encode())
    assert known is not None
    assert (known.name, known.tasks) == ("acme", {"classify"})
    for arguments, told in ((["a b"], "'a b' is not 1 to 64"), (["a", "--task", "sing"], "there is no task 'sing'")):
        refused = CliRunner().invoke(app, ["key", *arguments])
        assert refused.exit_code == 1
        assert told in refused.stderr


def test_serving_with_keys_that_cannot_be_read_is_refused_at_once(path: Path) -> None:
    refused = CliRunner().invoke(app, ["serve"], env={"SEQSERVE_KEY_FILE": str(path)})
    assert refused.exit_code == 1
    assert f"{path} cannot be read" in refused.stderr
