from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.registry import ConfigError, parse
from models.training.comparison import Comparison, comparison_names, load_comparison, planned_runs
from tests.test_registry import batteries

BASE = {
    "name": "base",
    "task": "translate",
    "architecture": {"name": "transformer", "hidden_size": 8, "num_heads": 2},
    "data": {"train": {"source": "train.en", "target": "train.de"}},
    "training": {"epochs": 30, "learning_rate": 0.5},
}
FIELDS: dict[str, Any] = {
    "title": "Depth",
    "base": "base",
    "shared": {"training": {"epochs": 2}},
    "variants": {"shallow": {"architecture": {"decoder_layers": 1}}, "usual": None},
    "seeds": [3, 4],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))
    return tmp_path


def write(folder: Path, **fields: Any) -> Path:
    comparisons = folder / "comparisons"
    comparisons.mkdir()
    (comparisons / "depth.yaml").write_text(yaml.safe_dump(FIELDS | fields))
    return comparisons


def test_every_variant_is_planned_with_every_seed_seed_by_seed(folder: Path) -> None:
    comparison = load_comparison("depth", write(folder))
    planned = list(planned_runs("depth", comparison, folder))
    assert [(one.run, one.config.seed, one.exported) for one in planned] == [
        ("depth/shallow-seed3", 3, True),
        ("depth/usual-seed3", 3, True),
        ("depth/shallow-seed4", 4, False),
        ("depth/usual-seed4", 4, False),
    ]
    assert planned[0].config.name == "depth-shallow-seed3"


def test_shared_sections_replace_those_of_the_base_and_variants_change_fields(folder: Path) -> None:
    shallow, usual, *_ = planned_runs("depth", Comparison.model_validate(FIELDS), folder)
    assert shallow.config.training.epochs == 2
    assert shallow.config.training.learning_rate == type(shallow.config.training)().learning_rate
    assert shallow.config.architecture == {**BASE["architecture"], "decoder_layers": 1}
    assert usual.config.architecture == BASE["architecture"]
    assert usual.config.data == shallow.config.data


def test_a_variant_that_is_no_config_is_named(folder: Path) -> None:
    fields = FIELDS | {"variants": {"usual": {}, "odd": {"training": {"epoch": 1}}}}
    with pytest.raises(ConfigError, match=r"comparison depth/odd-seed3: training\.epoch: Extra inputs"):
        list(planned_runs("depth", Comparison.model_validate(fields), folder))


def test_faults_of_a_file_are_told(folder: Path) -> None:
    comparisons = write(folder, variants={"one": {}}, seed=1)
    with pytest.raises(ConfigError, match=r"depth\.yaml is not a comparison: (.|\n)*variants(.|\n)*seed"):
        load_comparison("depth", comparisons)
    with pytest.raises(ConfigError, match="unknown comparison 'width'; known: depth"):
        load_comparison("width", comparisons)


@pytest.mark.parametrize("name", comparison_names())
def test_shipped_comparisons_are_valid_and_of_three_seeds(name: str) -> None:
    comparison = load_comparison(name)
    planned = list(planned_runs(name, comparison))
    assert comparison.seeds == (1, 2, 3)
    networks = {(str(one.config.architecture), one.config.seed) for one in planned}
    assert len(networks) == len(planned) == 3 * len(comparison.variants)
    for one in planned:
        fields = {key: value for key, value in one.config.architecture.items() if key != "name"}
        parse(one.config.architecture_name, fields | batteries()[one.config.architecture_name].vocabularies)
    assert len({one.config.training for one in planned}) == 1
    assert len({one.config.data for one in planned}) == 1
