"""The page of settings says what the code says, and the example of a training config is one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.tasks import TASKS
from models.registry import entries
from models.training.task import parse_config
from service.settings import ENV_PREFIX, SHIPPED_BUNDLES, Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def default(value: Any) -> str:
    if value is None:
        return ""
    if value == SHIPPED_BUNDLES:
        return "`artifacts`"
    return f"`{value if isinstance(value, str) else json.dumps(value, default=str)}`".replace('"', "")


def row(name: str) -> str:
    field = Settings.model_fields[name]
    return f"| `{ENV_PREFIX}{name.upper()}` | {default(field.default)} | {field.description} |"


def test_every_setting_has_its_row() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    shown = [line for line in page.splitlines() if line.startswith(f"| `{ENV_PREFIX}")]
    assert shown == [row(name) for name in Settings.model_fields]


def test_the_readme_shows_some_of_the_same_settings() -> None:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    shown = re.findall(rf"^\| `{ENV_PREFIX}(\w+)` \| ([^|]*) \|", text, re.MULTILINE)
    assert len(shown) >= 5
    assert shown == [(name, default(Settings.model_fields[name.lower()].default)) for name, _ in shown]


CONFIGS = [
    (page, yaml.safe_load(block))
    for page in ("docs/train-on-your-own-data.md", "README.md")
    for block in re.findall(r"```yaml\n(.*?)```", (DOCS.parent / page).read_text(encoding="utf-8"), re.DOTALL)
]


def test_there_is_a_training_config_of_every_task() -> None:
    assert {fields["task"] for page, fields in CONFIGS if page.startswith("docs")} == set(TASKS)


@pytest.mark.parametrize(("page", "fields"), CONFIGS)
def test_the_training_configs_are_valid(page: str, fields: dict[str, Any]) -> None:
    config = parse_config(fields, page)
    known = entries()[config.architecture_name].config.model_fields
    assert set(config.architecture) - {"name"} <= set(known)
