"""Variants of one model that share data, budget and seeds: `models/comparisons/NAME.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from contract.signature import Frozen
from models.registry import ConfigError
from models.training.config import Precision, TrainConfig
from models.training.task import load_config, parse_config

COMPARISONS, CONFIGS = Path("models/comparisons"), Path("models/configs")

Sections = dict[str, dict[str, Any]]


class Comparison(Frozen):
    """What is compared.

    Attributes:
        title: of its part of the document.
        base: the config, in `models/configs`, that everything not said here is taken from.
        shared: sections that replace those of the base: the budget, and what all variants have in common.
        variants: by name, the fields of sections in which each differs.
        seeds: every variant is trained with each; the first is exported too.
        precision: of training.
        by_source_length: whether BLEU is also taken by the length of the source.
    """

    title: str
    base: str
    shared: Sections = Field(default_factory=dict)
    variants: dict[str, Sections] = Field(min_length=2)
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    precision: Precision = "32-true"
    by_source_length: bool = False

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, fields: Any) -> Any:
        """A section or variant without fields is `{}`: YAML reads an empty value as none."""
        if isinstance(fields, dict) and isinstance(variants := fields.get("variants"), dict):
            return fields | {"variants": {name: variant or {} for name, variant in variants.items()}}
        return fields


@dataclass(frozen=True)
class Planned:
    """One run of a comparison; `run` is what its record goes by."""

    run: str
    config: TrainConfig
    exported: bool


def comparison_names(folder: Path = COMPARISONS) -> list[str]:
    """Every comparison there is."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_comparison(name: str, folder: Path = COMPARISONS) -> Comparison:
    """A comparison by its name.

    Raises:
        ConfigError: there is none of that name, or its file is not one; every fault is listed.
    """
    if name not in (known := comparison_names(folder)):
        raise ConfigError(f"unknown comparison {name!r}; known: {', '.join(known)}")
    path = folder / f"{name}.yaml"
    try:
        return Comparison.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path} is not a comparison: {error}") from error


def run_name(comparison: str, variant: str, seed: int) -> str:
    """What the record of one run goes by."""
    return f"{comparison}/{variant}-seed{seed}"


def planned_runs(name: str, comparison: Comparison, configs: Path = CONFIGS) -> Iterator[Planned]:
    """All its runs: every variant with the first seed, then with the next, so that half of it says something already.

    Raises:
        ConfigError: a variant is not a valid config.
    """
    base = load_config(configs / f"{comparison.base}.yaml").model_dump(mode="json") | comparison.shared
    for seed in comparison.seeds:
        for variant, sections in comparison.variants.items():
            run = run_name(name, variant, seed)
            own = {"name": run.replace("/", "-"), "description": f"{comparison.title}: {variant}", "seed": seed}
            config = parse_config(_merged(base, sections) | own, f"comparison {run}")
            yield Planned(run, config, exported=seed == comparison.seeds[0])


def _merged(fields: Mapping[str, Any], sections: Sections) -> dict[str, Any]:
    return {**fields, **{name: {**fields.get(name, {}), **section} for name, section in sections.items()}}
