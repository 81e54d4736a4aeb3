"""The page that tells how to add an architecture is followed to the letter, and the result is put to the battery."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from models import registry
from models.training.task import parse_config

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-an-architecture.md"
NAME = "mean_seq2seq"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def load(source: str, name: str) -> ModuleType:
    """A module made from a block of the page, as if it stood in a file of the project."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{PAGE.name}:{name}", "exec"), module.__dict__)
    return module


ARCHITECTURE, TEST = blocks("python")
(CONFIG,) = blocks("yaml")


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The page's architecture, known for as long as these tests run."""
    module = load(ARCHITECTURE, f"models.architectures.{NAME}")
    yield
    del sys.modules[module.__name__], registry._ENTRIES[NAME]


class TestPage(load(TEST, f"tests.models.architectures.test_{NAME}").TestMeanSeq2Seq):
    """The page's own test, on one variant."""

    axes = {"embedding_size": (12,), "hidden_size": (16,)}


def test_the_config_is_valid() -> None:
    config = parse_config(yaml.safe_load(CONFIG), PAGE.name)
    assert config.architecture_name == NAME
    sizes = {"source_vocabulary_size": 10, "target_vocabulary_size": 12}
    fields = {name: value for name, value in config.architecture.items() if name != "name"}
    assert registry.parse(NAME, fields | sizes).model_dump() == {
        "source_vocabulary_size": 10,
        "target_vocabulary_size": 12,
        "embedding_size": 64,
        "hidden_size": 128,
    }
