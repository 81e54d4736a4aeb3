"""The page that tells how to add an architecture is followed to the letter, from a file outside the project."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
import yaml

from contract.manifest import load_manifest
from export.pipeline import Options, export_bundle
from export.runs import from_run
from models import registry
from models.tasks.translate.evaluate import translate
from models.training.config import Hardware
from models.training.run import load_run
from models.training.task import parse_config
from models.training.trainer import train
from tests.models.miniatures import DATA, miniature
from tests.service.live import serve

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-an-architecture.md"
MODULE, NAME = "my_networks", "mean_seq2seq"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def load(source: str, name: str) -> ModuleType:
    """A module made from a block of the page."""
    module = ModuleType(name)
    exec(compile(source, f"{PAGE.name}:{name}", "exec"), module.__dict__)
    return module


ARCHITECTURE, TEST = blocks("python")
(CONFIG,) = blocks("yaml")


@pytest.fixture(scope="module", autouse=True)
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder on the path that holds the page's file, for as long as these tests run."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / f"{MODULE}.py").write_text(ARCHITECTURE, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    del sys.modules[MODULE], registry._ENTRIES[NAME]


class TestPage(load(TEST, "test_my_networks").TestMeanSeq2Seq):
    """The page's own test, on one variant."""

    axes = {"embedding_size": (12,), "hidden_size": (16,)}


def test_the_config_is_valid() -> None:
    config = parse_config(yaml.safe_load(CONFIG), PAGE.name)
    assert config.architecture_name == f"{MODULE}:{NAME}"
    sizes = {"source_vocabulary_size": 10, "target_vocabulary_size": 12}
    fields = {name: value for name, value in config.architecture.items() if name != "name"}
    assert registry.parse(config.architecture_name, fields | sizes).model_dump() == {
        "source_vocabulary_size": 10,
        "target_vocabulary_size": 12,
        "embedding_size": 64,
        "hidden_size": 128,
    }


def test_it_is_trained_exported_and_served(tmp_path: Path) -> None:
    config = miniature(parse_config(yaml.safe_load(CONFIG), PAGE.name))
    run = load_run(train(config, DATA, tmp_path / "runs", hardware=Hardware(accelerator="cpu"), progress=False), DATA)
    target = tmp_path / "artifacts" / config.name / "1"
    export_bundle(from_run(run), target, Options(("fp32", "int8"), ("fp32",)), lambda stage: None)
    assert load_manifest(target).architecture == f"{MODULE}:{NAME}"

    text = "two dogs run through the snow"
    with serve(tmp_path, bundles=tmp_path / "artifacts") as (_, url):
        reply = httpx.post(f"{url}/v1/translate", json={"text": text, "beam_size": 1, "max_length": 12}, timeout=30)
    assert reply.status_code == 200, reply.text
    assert (reply.json()["model"], reply.json()["version"]) == (config.name, "1")
    (translation,) = reply.json()["translations"]
    (expected,) = translate(run, [text])
    assert translation["text"]
    assert expected.startswith(translation["text"])


def test_a_module_that_is_not_there_is_told() -> None:
    with pytest.raises(registry.ConfigError, match=r"'nowhere:net': No module named 'nowhere'; is its folder on"):
        registry.find("nowhere:net")
