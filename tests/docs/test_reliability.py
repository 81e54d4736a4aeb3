"""Every promise of the page on reliability has its test, and that test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| (?!fault|---)[^|]+ \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE
)


def test_there_are_promises() -> None:
    assert len(ROWS) >= 15


@pytest.mark.parametrize("cell", ROWS)
def test_the_test_of_a_promise_exists(cell: str) -> None:
    file, _, name = cell.strip("`").partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert name in {function.name for function in functions}
