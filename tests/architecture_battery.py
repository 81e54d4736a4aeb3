"""What the batteries of both shapes share: an architecture's name and sizes, its variants, and one model of each.

A pairwise set of variants runs by default, every combination with `--all-variants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch

from models.architecture import Architecture
from models.registry import build, parse
from tests.variants import Fields, every, label, pairwise

TOLERANCE = 2e-5


class ArchitectureBattery:
    """The fixture `model` is made once for each variant."""

    architecture: ClassVar[str]
    vocabularies: ClassVar[Fields]
    """Fields that a run takes from its data and not from its YAML: sizes of vocabularies, numbers of labels."""
    sizes: ClassVar[Fields]
    """Fields that all variants share."""
    axes: ClassVar[Mapping[str, Sequence[Any]]]
    """Field → its values; the first of each makes up the plain variant."""
    learning_rate: ClassVar[float] = 0.03
    steps: ClassVar[int] = 100

    @classmethod
    def complete(cls, fields: Fields) -> Fields:
        """The config's fields, from a variant's axes."""
        return cls.sizes | fields

    @classmethod
    def valid(cls, fields: Fields) -> bool:
        """Whether a combination of axes is one that the config accepts."""
        return True

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        if "model" in metafunc.fixturenames:
            choose = every if metafunc.config.getoption("--all-variants", default=False) else pairwise
            metafunc.parametrize("model", choose(cls.axes, cls.valid), ids=label, indirect=True, scope="class")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, request: pytest.FixtureRequest) -> Architecture:
        """A freshly initialised model in evaluation mode."""
        return cls.create(request.param)

    @classmethod
    def create(cls, fields: Fields) -> Any:
        """A freshly initialised model of a variant, in evaluation mode, of the battery's own shape."""
        torch.manual_seed(3)
        return build(cls.architecture, parse(cls.architecture, cls.vocabularies | cls.complete(fields))).eval()
