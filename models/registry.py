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
    """A registered architecture; `paper` names the authors and years of what it follows."""

    name: str
    config: type[ArchitectureConfig]
    module: type[Architecture]
    paper: str = ""

    @property
    def summary(self) -> str:
        """The first line of the module's docstring."""
        return (self.module.__doc__ or "").strip().partition("\n")[0]


_ENTRIES: dict[str, Entry] = {}


def register(
    name: str, config: type[ArchitectureConfig], *, paper: str = ""
) -> Callable[[type[Architecture]], type[Architecture]]:
    """Class decorator that makes a module known under `name`; `paper` names authors and years of what it follows."""

    def decorate(module: type[Architecture]) -> type[Architecture]:
        if name in _ENTRIES:
            raise ConfigError(f"architecture {name!r} is registered twice: {_ENTRIES[name].module} and {module}")
        _ENTRIES[name] = Entry(name, config, module, paper)
        return module

    return decorate


def entries() -> dict[str, Entry]:
    """Every registered architecture; importing the package `models.architectures` registers them."""
    package = import_module("models.architectures")
    for module in iter_modules(package.__path__):
        import_module(f"models.architectures.{module.name}")
    return dict(sorted(_ENTRIES.items()))


def find(name: str) -> Entry:
    """The architecture of a config: `transformer`, or of a module outside this package `my_networks:mean_seq2seq`.

    Raises:
        ConfigError: there is no such module, or nothing is registered under that name.
    """
    place, _, own = name.rpartition(":")
    if place:
        try:
            import_module(place)
        except ImportError as error:
            raise ConfigError(f"architecture {name!r}: {error}; is its folder on PYTHONPATH?") from error
    known = entries()
    if own not in known:
        raise ConfigError(f"unknown architecture {name!r}; known: {', '.join(known)}")
    return known[own]


def parse(name: str, fields: dict[str, Any]) -> ArchitectureConfig:
    """The frozen config of architecture `name`.

    Raises:
        ConfigError: unknown architecture, unknown key or bad value; every fault is listed.
    """
    config = find(name).config
    try:
        return config.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or name}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"architecture {name!r}: {faults} (fields: {', '.join(config.model_fields)})") from error


def build(name: str, config: ArchitectureConfig) -> Architecture:
    """A freshly initialised module; seed torch first for repeatable weights."""
    return find(name).module(config)
