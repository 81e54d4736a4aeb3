"""What there is to train: every architecture with the tasks, configs and comparisons that use it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from models.registry import Entry, entries
from models.training.comparison import comparison_names, load_comparison, planned_runs
from models.training.task import load_config

_CONFIGS, _COMPARISONS = Path(__file__).parent / "configs", Path(__file__).parent / "comparisons"


@dataclass
class Uses:
    """Where an architecture is used: tasks, configs by their names, comparisons as `comparison NAME`."""

    tasks: list[str] = field(default_factory=list)
    configs: list[str] = field(default_factory=list)

    def add(self, task: str, config: str) -> None:
        """Note one use, once."""
        for listed, name in ((self.tasks, task), (self.configs, config)):
            if name not in listed:
                listed.append(name)


def listing(configs: Path = _CONFIGS, comparisons: Path = _COMPARISONS) -> list[tuple[Entry, Uses]]:
    """Every registered architecture and its uses.

    Raises:
        ConfigError: a config or a comparison is not valid.
    """
    uses: defaultdict[str, Uses] = defaultdict(Uses)
    for path in sorted(configs.glob("*.yaml")):
        config = load_config(path)
        uses[config.architecture_name].add(config.task, config.name)
    for name in comparison_names(comparisons):
        for one in planned_runs(name, load_comparison(name, comparisons), configs):
            uses[one.config.architecture_name].add(one.config.task, f"comparison {name}")
    return [(entry, uses[name]) for name, entry in entries().items()]


def describe_fields(entry: Entry) -> list[str]:
    """The fields of an architecture's config, with their defaults."""
    described = []
    for name, info in entry.config.model_fields.items():
        default = "required" if info.is_required() else repr(info.default)
        described.append(f"{name}: {default}")
    return described
