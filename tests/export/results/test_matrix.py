"""The committed matrix: complete, and the same as its documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from export.results.matrix import load_matrix
from export.results.render import BY_LENGTH, GUIDE, RESULTS, Book
from models.registry import ConfigError
from models.training.comparison import comparison_names

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = {path.stem for path in (ROOT / "models" / "configs").glob("*.yaml")}


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(ROOT)


def test_every_config_has_a_row_or_a_reason_to_have_none(book: Book) -> None:
    assert book.matrix.configs() == CONFIGS


def test_every_variant_of_every_comparison_has_one_row(book: Book) -> None:
    listed = sorted((group.comparison, row.of) for group, row in book.matrix.rows() if group.comparison)
    wanted = sorted((name, variant) for name, comparison in book.comparisons.items() for variant in comparison.variants)
    assert listed == wanted
    assert set(book.comparisons) == set(comparison_names(ROOT / "models" / "comparisons"))


def test_every_record_stands_behind_a_row(book: Book) -> None:
    behind = {record.run for row in book.rows(list(book.matrix.groups())) for record in row.records}
    assert behind == set(book.records)


def test_the_documents_are_those_of_the_records(book: Book) -> None:
    assert (ROOT / RESULTS).read_text("utf-8") == book.results(), "call make results"
    assert (ROOT / GUIDE).read_text("utf-8") == book.guide(), "call make results"


def test_plots_that_are_shown_are_there(book: Book) -> None:
    shown = re.findall(r"images/(results-\S+\.svg)", (ROOT / RESULTS).read_text("utf-8"))
    assert len(shown) == sum(bool(book.compared(name)) for name in book.comparisons) + bool(book.by_length())
    assert [name for name in shown if not (ROOT / BY_LENGTH.parent / name).is_file()] == []


def test_a_metric_without_a_title_is_told(tmp_path: Path) -> None:
    group = {"task": "t", "data": "d", "metrics": ["bleu"], "rows": [{"of": "x", "architecture": "a"}]}
    path = tmp_path / "matrix.yaml"
    path.write_text(yaml.safe_dump({"metrics": {}, "tables": {"matrix": [group]}}))
    with pytest.raises(ConfigError, match="metrics: bleu have no title"):
        load_matrix(path)
    path.write_text("rows: 1")
    with pytest.raises(ConfigError, match=r"matrix\.yaml is not a matrix: (.|\n)*tables"):
        load_matrix(path)
