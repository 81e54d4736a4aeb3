"""Where results go: JSON under `reports/bench/`, and tables between markers in docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.markdown import fill
from loadtest.bench.measure import Machine
from loadtest.bench.table import Table

REPORTS = Path("reports/bench")
DOCUMENT = Path("docs/performance.md")


def save_json(name: str, machine: Machine, result: Any) -> Path:
    """Write a result, a dataclass, beside what it was measured on."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{name}.json"
    content = {"machine": asdict(machine), "result": asdict(result)}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def fill_document(document: Path, name: str, machine: Machine, tables: Sequence[Table]) -> None:
    """Put tables between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.

    Raises:
        MarkerError: the document has no such pair of markers.
    """
    body = "\n\n".join([*(table.markdown() for table in tables), describe(machine)])
    document.write_text(fill(document.read_text("utf-8"), f"bench:{name}", body), "utf-8")


def describe(machine: Machine) -> str:
    """One line on when and on what it was measured."""
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    return f"*{machine.day}; {machine.processor}, {machine.cores} cores; Python {machine.python}, {libraries}*"
