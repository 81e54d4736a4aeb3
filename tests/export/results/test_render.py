"""Documents of a project made up for tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from export.results.record import fingerprint, save_record
from export.results.render import Book, write_documents
from models.training.comparison import load_comparison, planned_runs
from tests.export.results.records import EXPORTED, make_record

CONFIG = {
    "name": "model",
    "task": "translate",
    "architecture": {"name": "transformer", "hidden_size": 8, "num_heads": 2},
    "data": {"train": {"source": "train.en", "target": "train.de"}},
}
COMPARISON = {
    "title": "Depth",
    "base": "model",
    "variants": {"none": {}, "additive": {"architecture": {"decoder_layers": 1}}},
    "seeds": [1, 2],
}
MATRIX = {
    "metrics": {"bleu": {"title": "BLEU"}},
    "tables": {
        "matrix": [
            {
                "family": "transformer",
                "task": "translation",
                "data": "test",
                "metrics": ["bleu"],
                "rows": [
                    {
                        "of": "model",
                        "architecture": "Transformer",
                        "published": {"figures": {"bleu": 33.0}, "source": "Somebody 2020"},
                    }
                ],
            },
            {
                "task": "translation",
                "data": "test",
                "metrics": ["bleu"],
                "comparison": "depth",
                "rows": [{"of": "none", "architecture": "GRU"}, {"of": "additive", "architecture": "GRU"}],
            },
        ]
    },
}
MARKS = ("matrix", "plot depth", "plot source-length", "missed", "not-run")


def places(*marks: str) -> str:
    return "".join(f"<!-- results:{mark} -->\n<!-- /results:{mark} -->\n" for mark in marks)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "models/configs/model.yaml": yaml.safe_dump(CONFIG),
        "models/comparisons/depth.yaml": yaml.safe_dump(COMPARISON, sort_keys=False),
        "docs/matrix.yaml": yaml.safe_dump(MATRIX),
        "docs/results.md": places(*MARKS),
        "docs/architectures.md": places("transformer"),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def record(root: Path, run: str, config: str, **fields: object) -> None:
    save_record(make_record(run, config=config, **fields), root / "docs" / "records")


def part(text: str, mark: str) -> list[str]:
    return text.partition(f"<!-- results:{mark} -->\n")[2].partition(f"\n<!-- /results:{mark} -->")[0].splitlines()


def test_without_records_there_are_no_rows(root: Path) -> None:
    text = Book(root).results()
    assert len(part(text, "matrix")) == 2
    assert part(text, "plot depth") == part(text, "plot source-length") == ["Not run yet."]
    assert part(text, "missed") == ["None."]
    assert part(text, "not-run") == [
        "- Transformer: `model`",
        "- GRU: `depth/none-seed1` and 1 more seed",
        "- GRU: `depth/additive-seed1` and 1 more seed",
    ]


def test_every_figure_is_that_of_a_record(root: Path) -> None:
    book = Book(root)
    comparison = load_comparison("depth", root / "models/comparisons")
    planned = list(planned_runs("depth", comparison, root / "models/configs"))
    buckets = [{"lowest": 1, "highest": None, "sentences": 9, "bleu": 20.0}]
    for one in planned[:3]:
        record(root, one.run, fingerprint(one.config), test={"bleu": 20.0 + one.config.seed}, by_source_length=buckets)
    record(root, "model", "of another config")
    written = write_documents(root)
    assert [path.name for path in written] == [
        "results.md",
        "architectures.md",
        "results-depth.svg",
        "results-source-length.svg",
    ]
    assert all(path.stat().st_size > 0 for path in written)
    text = (root / "docs/results.md").read_text()
    _, _, transformer, none, additive = part(text, "matrix")
    assert transformer.startswith(
        "| Transformer |  | translation | test | BLEU 31.50 | BLEU 33 (Somebody 2020): BLEU missed by 1.50 | 5.23 M |"
    )
    assert "| BLEU 21.50 ± 0.71 |" in none
    assert "| BLEU 21.00 (1 of 2 seeds) |" in additive
    assert part(text, "missed") == ["- Transformer: BLEU 31.50, 1.50 behind 33 (Somebody 2020)"]
    assert part(text, "plot depth") == ["![Depth: quality against speed](images/results-depth.svg)"]
    assert part(text, "not-run") == [
        "- GRU: `depth/additive-seed2`",
        "- `model` is recorded with another config than `models/configs/model.yaml` is now",
    ]
    assert "BLEU 31.50" in (root / "docs/architectures.md").read_text()
    assert book.results() == Book(root).results()


def test_plots_are_the_same_every_time(root: Path) -> None:
    for run in ("depth/none-seed1", "depth/none-seed2"):
        record(root, run, "any", exported=EXPORTED)
    (plot,) = Book(root).draw()
    first = plot.read_bytes()
    assert b"none" in first
    next(Book(root).draw())
    assert plot.read_bytes() == first
