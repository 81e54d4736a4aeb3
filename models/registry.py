"""Architectures by name: a frozen config class and the module it builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from contract.signature import Frozen

if TYPE_CHECKING:
    from models.architecture import Architecture


class ArchitectureConfig(Frozen):
    """Hyper-parameters of an architecture. Vocabulary sizes come from the tokenizers, not from the YAML."""


class ConfigError(ValueError):
    """A config that does not describe an architecture; the message lists every fault."""


@dataclass(frozen=True)
class Entry:
    """A registered architecture."""

    name: str
    config: type[ArchitectureConfig]
    module: type[Architecture]


_ENTRIES: dict[str, Entry] = {}


def register(name: str, config: type[ArchitectureConfig]) -> Callable[[type[Architecture]], type[Architecture]]:
    """Class decorator that makes a module known under `name`."""

    def decorate(module: type[Architecture]) -> type[Architecture]:
        if name in _ENTRIES:
            raise ConfigError(f"architecture {name!r} is registered twice: {_ENTRIES[name].module} and {module}")
        _ENTRIES[name] = Entry(name, config, module)
        return module

    return decorate


def entries() -> dict[str, Entry]:
    """Every registered architecture; importing the package `models.architectures` registers them."""
    package = import_module("models.architectures")
    for module in iter_modules(package.__path__):
        import_module(f"models.architectures.{module.name}")
    return dict(sorted(_ENTRIES.items()))


def parse(name: str, fields: dict[str, Any]) -> ArchitectureConfig:
    """The frozen config of architecture `name`.

    Raises:
        ConfigError: unknown architecture, unknown key or bad value; every fault is listed.
    """
    known = entries()
    if name not in known:
        raise ConfigError(f"unknown architecture {name!r}; known: {', '.join(known)}")
    try:
        return known[name].config.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or name}: {e['msg']}" for e in error.errors())
        allowed = ", ".join(known[name].config.model_fields)
        raise ConfigError(f"architecture {name!r}: {faults} (fields: {allowed})") from error


def build(name: str, config: ArchitectureConfig) -> Architecture:
    """A freshly initialised module; seed torch first for repeatable weights."""
    return entries()[name].module(config)
