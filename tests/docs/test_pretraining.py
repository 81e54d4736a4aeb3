"""The configs that the page on pretraining shows are ones, and fit each other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from models.architectures.bert import BertSizes
from models.pretrained.packages import PACKAGES
from models.registry import parse
from models.tasks.classify.config import ClassifyConfig
from models.tasks.masked_language_model.config import MaskedLanguageConfig
from models.training.task import parse_config

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pretraining.md").read_text("utf-8")
SHOWN = [parse_config(yaml.safe_load(block), "docs") for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def sizes(config: ClassifyConfig | MaskedLanguageConfig) -> dict[str, object]:
    data = {"vocabulary_size": 9} | ({"label_count": 2} if isinstance(config, ClassifyConfig) else {})
    fields = {key: value for key, value in config.architecture.items() if key != "name"}
    return parse(config.architecture_name, fields | data).model_dump(include=set(BertSizes.model_fields))


def test_the_page_shows_a_package_a_pretraining_and_what_starts_from_it() -> None:
    packaged, pretraining, started = SHOWN
    assert isinstance(packaged, ClassifyConfig)
    assert packaged.pretrained is not None
    assert packaged.pretrained.package in PACKAGES
    assert isinstance(pretraining, MaskedLanguageConfig)
    assert isinstance(started, ClassifyConfig)
    assert started.pretrained is not None
    assert started.pretrained.run == Path("runs") / pretraining.name
    assert sizes(started) == sizes(pretraining)


def test_the_defaults_are_the_sizes_of_the_package() -> None:
    packaged = SHOWN[0]
    assert isinstance(packaged, ClassifyConfig)
    assert sizes(packaged) == BertSizes().model_dump()
