"""The project's own shape: verbs, import rules, what ships, and what documents promise."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from importlinter import cli as importlinter

from deploy.container.build import describe

ROOT = Path(__file__).resolve().parent.parent
VERBS = ["help", "setup", "serve", "test", "test-all", "fuzz", "check"]
VERBS += ["train", "export", "results", "bench", "peers", "load", "soak", "bento"]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bentofile() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))


def make(*arguments: str, device: str | None = "cpu") -> subprocess.CompletedProcess[str]:
    # Without what an outer make would hand down: these tests may themselves run under `make test`.
    outer = ("MAKE", "MFLAGS", "DEVICE")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    command = ["make", *([f"DEVICE={device}"] if device else []), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_help_lists_every_verb_with_one_line() -> None:
    listed = make("help").stdout.splitlines()
    assert [line.split()[1] for line in listed] == VERBS
    assert all(len(line.split(maxsplit=2)) == 3 for line in listed)


def test_help_is_what_make_does_unasked() -> None:
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize("document", ["README.md", ".ci/run", *sorted(str(p) for p in ROOT.glob("docs/**/*.md"))])
def test_documents_name_only_verbs_that_exist(document: str) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(_code(ROOT / document))))
    assert named <= set(VERBS)


def test_readme_shows_the_first_two_commands() -> None:
    code = "\n".join(_code(ROOT / "README.md"))
    assert "make serve" in code
    assert "make test" in code


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md", *sorted(str(p) for p in ROOT.glob("docs/**/*.md"))])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.parametrize(("verb", "variable"), [("train", "CONFIG"), ("export", "RUN")])
def test_a_verb_without_its_argument_says_which(verb: str, variable: str) -> None:
    result = make(verb)
    assert result.returncode == 2
    assert f"{variable}=" in result.stderr


def test_an_unknown_device_is_refused() -> None:
    result = make("DEVICE=tpu", "help")
    assert result.returncode == 2
    assert "'tpu', it must be cpu or gpu" in result.stderr


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_serving_installs_one_engine_and_no_torch(project: dict[str, Any], device: str) -> None:
    extras = project["project"]["optional-dependencies"]
    names = {_name(r) for r in [*project["project"]["dependencies"], *extras["serve"], *extras[device]]}
    assert len(names & {"onnxruntime", "onnxruntime-gpu"}) == 1
    assert names.isdisjoint({"torch", "lightning", "onnx", "onnxscript", "ctranslate2"})
    assert not any(
        _name(r).startswith("onnxruntime") for key in ("train", "export", "bench", "dev") for r in extras[key]
    )


def test_the_bento_holds_the_service_and_nothing_else(bentofile: dict[str, Any]) -> None:
    assert bentofile["service"] == "service.app:SequenceService"
    assert bentofile["include"] == ["/service/", "/contract/", "/artifacts/"]


def test_the_bento_installs_what_make_serve_installs(project: dict[str, Any], bentofile: dict[str, Any]) -> None:
    base, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    assert bentofile["python"]["packages"] == [*base, *extras["serve"], *extras["gpu"]]
    assert describe("gpu") == bentofile
    small = {"name": "seqserve-cpu", "python": {"packages": [*base, *extras["serve"], *extras["cpu"]]}}
    assert describe("cpu") == bentofile | small


@pytest.mark.parametrize(("given", "device"), [((), "gpu"), (("DEVICE=cpu",), "cpu"), (("DEVICE=gpu",), "gpu")])
def test_a_bento_is_for_gpu_unless_it_is_told_otherwise(given: tuple[str, ...], device: str) -> None:
    planned = make("--dry-run", "bento", *given, device=None).stdout
    assert f"deploy.container.build --device {device}" in planned


def test_import_rules_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    status = importlinter.lint_imports(no_cache=True, no_logo=True)
    assert status == importlinter.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def _code(path: Path) -> list[str]:
    """What a document shows as code: fenced blocks and `inline` pieces; a script is code throughout."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL) if path.suffix == ".md" else [text]


def _name(requirement: str) -> str:
    matched = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert matched, requirement
    return matched.group().lower()
