"""An architecture that is registered but not put to the battery is an error."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from models.registry import ConfigError, entries, parse
from tests.architecture_battery import ArchitectureBattery

FOLDER = Path(__file__).parent / "models" / "architectures"


def batteries() -> dict[str, type[ArchitectureBattery]]:
    modules = [import_module(f"tests.models.architectures.{path.stem}") for path in FOLDER.glob("test_*.py")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    batteries = [cls for cls in found if issubclass(cls, ArchitectureBattery) and hasattr(cls, "architecture")]
    return {cls.architecture: cls for cls in batteries}


def test_every_registered_architecture_is_put_to_the_battery() -> None:
    assert set(batteries()) == set(entries())


@pytest.mark.parametrize("name", entries())
def test_every_choice_of_a_config_is_an_axis_of_its_battery(name: str) -> None:
    """A config value that is picked by name, or switched on, is a variant: it must not go untried."""
    schema = entries()[name].config.model_json_schema()["properties"]
    axes = batteries()[name].axes
    choices = {field: set(spec["enum"]) for field, spec in schema.items() if "enum" in spec}
    switches = {field: {True, False} for field, spec in schema.items() if spec.get("type") == "boolean"}
    tried = {field: set(axes.get(field, ())) for field in choices | switches}
    assert tried == choices | switches


@pytest.mark.parametrize("name", entries())
def test_a_misspelt_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=r"hiden_size: Extra inputs are not permitted \(fields: .*hidden_size"):
        parse(name, batteries()[name].vocabularies | {"hiden_size": 8})


@pytest.mark.parametrize("name", entries())
def test_a_config_cannot_be_changed(name: str) -> None:
    config = parse(name, batteries()[name].vocabularies)
    with pytest.raises(ValueError, match="frozen"):
        config.hidden_size = 8  # type: ignore[attr-defined]


def test_an_unknown_architecture_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown architecture 'gru'; known: .*attention_seq2seq"):
        parse("gru", {})
