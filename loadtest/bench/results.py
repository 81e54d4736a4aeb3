"""Where results go: JSON under `reports/bench/`, and tables between markers in docs/results.md."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.bench.measure import Machine
from loadtest.bench.table import Table

REPORTS = Path("reports/bench")
DOCUMENT = Path("docs/results.md")


class MarkerError(ValueError):
    """The document has no place for a result."""


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
    text = document.read_text(encoding="utf-8")
    start, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise MarkerError(f"{document} has no place for {name!r}: it lacks {start} … {end}")
    body = "\n\n".join([*(table.markdown() for table in tables), describe(machine)])
    document.write_text(pattern.sub(lambda _: f"{start}\n{body}\n{end}", text), encoding="utf-8")


def describe(machine: Machine) -> str:
    """One line on what was measured on."""
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    return f"*{machine.processor}, {machine.cores} cores; Python {machine.python}, {libraries}*"
