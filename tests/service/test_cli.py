"""The commands, without a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.__main__ import app
from service.runtime.bundle import open_bundle
from service.settings import Settings

BUNDLES = Path(__file__).resolve().parents[1] / "data" / "bundles" / "v1"
TRANSFORMER = BUNDLES / "tiny-en-de" / "1"
PICTURES = BUNDLES.parents[1] / "pictures" / "loose"
NAMES = sorted(path.name for path in BUNDLES.iterdir() if path.is_dir())
FILES = sorted(path.relative_to(TRANSFORMER).as_posix() for path in TRANSFORMER.rglob("*") if path.is_file())


def run(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text, env={"COLUMNS": "200"})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundle that may be spoilt."""
    return Path(shutil.copytree(TRANSFORMER, tmp_path / "bundles" / "tiny-en-de" / "1"))


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_of_the_first_schema_is_proven(name: str) -> None:
    result = run("verify", BUNDLES / name)
    assert result.exit_code == 0, result.stderr
    manifest = open_bundle(BUNDLES / name).manifest
    for variant in manifest.variants:
        for graph in variant.graphs:
            rows = [line for line in result.stdout.splitlines() if f" {variant.precision} " in line]
            assert any(f" {graph.kind} " in row for row in rows)
    assert "every hash fits" in result.stdout


@pytest.mark.parametrize("file", FILES)
def test_one_changed_byte_anywhere_is_found_and_named(copy: Path, file: str) -> None:
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    result = run("verify", copy)
    assert result.exit_code == 1
    assert file in result.stderr


def test_a_missing_bundle_is_not_proven(tmp_path: Path) -> None:
    result = run("verify", tmp_path / "none")
    assert result.exit_code == 1
    assert "neither manifest.json nor a version folder" in result.stderr


def test_bundles_are_listed_with_what_they_hold() -> None:
    result = run("list", "--bundles", BUNDLES)
    assert result.exit_code == 0, result.stderr
    lines = {line.split()[1]: line for line in result.stdout.splitlines() if " tiny-" in line}
    assert sorted(lines) == NAMES
    assert lines["tiny-en-de"].split()[1:8:2] == ["tiny-en-de", "translate", "1", "fp32,"]
    assert "accuracy 100.0 (validation)" in lines["tiny-classify"]


def test_what_is_listed_as_broken_is_told_with_its_faults(copy: Path) -> None:
    shutil.copytree(BUNDLES / "tiny-tag", copy.parents[1] / "tiny-tag")
    (copy / "int8" / "step.onnx").unlink()
    result = run("list", "--bundles", copy.parents[1])
    assert result.exit_code == 1
    assert "tiny-tag" in result.stdout
    assert "tiny-en-de" not in result.stdout
    assert "tiny-en-de 1: int8/step.onnx is missing" in result.stderr


def test_lines_are_translated_in_their_order() -> None:
    lines = ["The man sleeps.", "", "An old cat sings on the street. It sleeps.", "The man sleeps."]
    result = run("predict", TRANSFORMER, "--beam-size", 2, text="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.stderr
    first, empty, second, again = result.stdout.removesuffix("\n").split("\n")
    assert (first, empty) == (again, "")
    assert first.count(".") == 1
    assert second.count(".") == 2
    assert "4/4" in result.stderr


def predict(name: str, *arguments: object, text: str) -> list[Any]:
    result = run("predict", BUNDLES / name, *arguments, text=text)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) if line else None for line in result.stdout.removesuffix("\n").split("\n")]


def test_lines_are_classified() -> None:
    bright, empty, dull = predict("tiny-classify", "--top-k", 1, text="A bright film .\n\nA dull , cold film .\n")
    assert (bright["label"], empty, dull["label"]) == ("positive", None, "negative")
    assert len(bright["labels"]) == 1


def test_lines_are_tagged() -> None:
    (found,) = predict("tiny-tag", text="Yesterday Rosa Lind arrived.")
    assert [(e["text"], e["label"], e["start"]) for e in found["entities"]] == [("Rosa Lind", "PER", 10)]


def test_pictures_are_named_by_their_paths(tmp_path: Path) -> None:
    paths = [str(path) for path in sorted(PICTURES.glob("*.jpg"))[:2]]
    result = run("predict", BUNDLES / "tiny-captions", "--beam-size", 1, text="\n".join([paths[0], "", *paths]))
    assert result.exit_code == 0, result.stderr
    first, empty, again, _ = result.stdout.removesuffix("\n").split("\n")
    assert (first, empty) == (again, "")
    assert len(first.split()) > 3
    for line, message in ((str(tmp_path / "none.jpg"), "line 1: cannot read the picture"), (__file__, "not a picture")):
        result = run("predict", BUNDLES / "tiny-captions", text=line)
        assert result.exit_code == 1
        assert message in result.stderr


def test_prompts_are_gone_on_from_by_seeds_that_count_up() -> None:
    lines = ["K:C", json.dumps("M:6/8\nK:G\n"), "", "K:C"]
    first, second, empty, last = predict("tiny-tunes", "--seed", 4, "--temperature", 0.5, text="\n".join(lines))
    assert (first["seed"], second["seed"], empty, last["seed"]) == (4, 5, None, 7)
    assert (first["text"][:4], second["text"][:10]) == ("K:C\n", "M:6/8\nK:G\n")
    (again,) = predict("tiny-tunes", "--seed", 7, "--temperature", 0.5, text="K:C")
    assert again == last
    for seed in (-1, 2**32):
        refused = run("predict", BUNDLES / "tiny-tunes", "--seed", seed, text="K:C")
        assert (refused.exit_code, f"{seed} is not between 0 and" in refused.stderr) == (1, True)
    certain = [predict("tiny-tunes", "--temperature", 0, "--seed", seed, text="K:C")[0]["text"] for seed in (1, 2)]
    assert certain[0] == certain[1]


def test_sessions_are_names_with_spaces_between_them_or_json_lists() -> None:
    text = '["sku-107", "sku-108"]\nsku-107 sku-108\nnothing\n[5]'
    as_json, as_names, *others = predict("tiny-items", "--top-k", 3, "--exclude-seen", text=text)
    assert as_json == as_names
    assert len(as_json["items"]) == 3
    assert {"sku-107", "sku-108"}.isdisjoint(each["item"] for each in as_json["items"])
    assert [(other["fallback"], other["unknown"]) for other in others] == [(True, ["nothing"]), (True, [5])]


def test_questions_come_with_their_stories() -> None:
    story = ["Ada ran to the attic.", "Ben ran to the barn."]
    asked, long = ({"story": told, "question": "Where is Ada?"} for told in (story, [story[1]] * 6 + story))
    found, truncated = predict("tiny-answers", "--top-k", 1, text=f"{json.dumps(asked)}\n{json.dumps(long)}")
    assert (found["text"], len(found["answers"]), found.get("truncated")) == ("attic", 1, None)
    assert (truncated["text"], truncated["truncated"]) == ("attic", True)


@pytest.mark.parametrize(
    ("name", "arguments", "text", "message"),
    [
        (
            "tiny-classify",
            ["--beam-size", 2],
            "fine",
            "beam_size is no option of 'tiny-classify', a model for classify",
        ),
        ("tiny-classify", [], "fine\n" + "word " * 100, "line 2: 100 tokens, the limit of model 'tiny-classify' is 48"),
        ("tiny-tag", ["--top-k", 3], "fine", "top_k is no option of 'tiny-tag', a model for tag"),
        ("tiny-items", [], "sku-107\n[1", "line 2: not a JSON list of item ids"),
        (
            "tiny-answers",
            [],
            '{"story": ["Ada ran."]}',
            "line 1: not a JSON object of a story and a question: question",
        ),
        (
            "tiny-answers",
            [],
            '{"story": ["Zoe ran."], "question": "Where?"}',
            "model 'tiny-answers' has never seen 'Zoe'",
        ),
        ("tiny-tunes", ["--beam-size", 2], "K:C", "beam_size is no option of 'tiny-tunes', a model for generate"),
        ("tiny-tunes", [], 'K:C\n"K:C', "line 2: not a JSON string"),
        ("tiny-tunes", ["--top-p", 2], "K:C", "line 1: 2 is not above 0 and at most 1"),
        ("tiny-items", [], "[true]", "line 1: item ids are texts or integers"),
        ("tiny-en-de", ["--exclude-seen"], "fine", "exclude_seen is no option of 'tiny-en-de', a model for translate"),
    ],
)
def test_what_a_task_does_not_take_is_refused(name: str, arguments: list[object], text: str, message: str) -> None:
    result = run("predict", BUNDLES / name, *arguments, text=text)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        ([], "fine.\n" + "word " * 100, "line 2: a sentence has"),
        (["--beam-size", 100], "fine.", "a beam of 100 is wider than the limit of 16"),
        (["--max-length", 1000], "fine.", "1000 is above this model's limit"),
        (["--precision", "fp16"], "fine.", "holds fp32, int8; cpu needs one of fp16"),
    ],
)
def test_lines_and_options_that_are_not_taken(arguments: list[object], text: str, message: str) -> None:
    result = run("predict", TRANSFORMER, *arguments, text=text)
    assert result.exit_code == 1
    assert message in result.stderr


def test_lines_must_be_utf_8() -> None:
    result = CliRunner().invoke(app, ["predict", str(TRANSFORMER)], input=b"gr\xfc\xdfe")
    assert result.exit_code == 1
    assert "standard input is not UTF-8" in result.stderr


def test_long_lines_are_cut_where_that_is_asked_for() -> None:
    result = run("predict", TRANSFORMER, "--truncate", text="word " * 100)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()


@pytest.fixture
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment, and fail where a server would be started."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(os, "execv", lambda path, command: pytest.fail(f"started {command}"))


@pytest.mark.usefixtures("_nothing_starts")
class TestServe:
    def test_a_missing_folder(self, tmp_path: Path) -> None:
        result = run("serve", "--bundles", tmp_path / "none")
        assert result.exit_code == 1
        assert "no such folder; name another one with --bundles" in result.stderr

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        result = run("serve", "--bundles", tmp_path)
        assert result.exit_code == 1
        assert "a bundle is a folder NAME/VERSION/" in result.stderr

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("PORT", "none", "port: Input should be a valid integer"),
            ("PROT", "3000", "unknown settings SEQSERVE_PROT"),
            ("HOST", "localhost", "host: .*'localhost' does not appear to be an IPv4 or IPv6 address"),
            ("DEADLINE", "31", "deadline: Input should be less than or equal to 30"),
            ("MAX_SENTENCES", "5000", "max_sentences 5000 would never fit into max_queue 4096"),
            ("VERSIONS", '{"other": "1"}', "a version of 'other' is pinned, but there is no such bundle"),
            (
                "VERSIONS",
                '{"tiny-en-de": "7"}',
                "tiny-en-de: version '7', pinned by the settings, is not there; versions: 1",
            ),
        ],
    )
    def test_settings_that_do_not_fit(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
    ) -> None:
        monkeypatch.setitem(os.environ, f"SEQSERVE_{name}", value)
        result = run("serve", "--bundles", BUNDLES)
        assert result.exit_code == 1
        assert re.search(message, result.stderr), result.stderr

    def test_a_port_that_is_taken(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = run("serve", "--bundles", BUNDLES, "--host", "127.0.0.1", "--port", port)
        assert result.exit_code == 1
        assert f"cannot listen on 127.0.0.1 port {port}" in result.stderr


def test_serve_hands_its_settings_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "HOME": str(tmp_path)})
    monkeypatch.delitem(os.environ, "BENTOML_HOME", raising=False)
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: started.append(command))
    monkeypatch.chdir(BUNDLES.parent)
    result = run("serve", "--bundles", "v1", "--host", "127.0.0.1", "--port", 45_001, "--threads", 3)
    assert result.exit_code == 0, result.stderr
    settings = Settings()
    assert (settings.bundles, settings.port, settings.threads) == (BUNDLES, 45_001, 3)
    assert os.environ["BENTOML_DO_NOT_TRACK"] == "True"
    assert os.environ["BENTOML_HOME"] == str(tmp_path / ".cache" / "seqserve" / "port-45001")
    assert started[0][1:5] == ["-m", "bentoml", "serve", "service.app:SequenceService"]
