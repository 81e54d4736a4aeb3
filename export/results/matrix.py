"""The rows of the matrix, in order, and the published figures beside them: `docs/matrix.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from contract.signature import Frozen
from models.registry import ConfigError

MATRIX = Path("docs/matrix.yaml")


class Metric(Frozen):
    """A metric's name for people, and whether less is better."""

    title: str
    falling: bool = False


class Published(Frozen):
    """Other people's figures, by metric; of a range, the end that is easier to reach.

    Attributes:
        figures: in the units of the metric.
        source: who found them, where, with what.
        compared: whether they are of the same data by a protocol that does not flatter ours, so that missing them can
            be told in points.
    """

    figures: dict[str, float] = Field(min_length=1)
    source: str
    compared: bool = True


class Row(Frozen):
    """One row.

    Attributes:
        of: the variant of the group's comparison, or the config, whose records stand behind the row.
        architecture: what the field calls it.
        variant: how it differs from its neighbours.
        published: figures beside it.
        note: what a reader must know about it; it stands beside the variant.
    """

    of: str
    architecture: str
    variant: str = ""
    published: Published | None = None
    note: str = ""


class Group(Frozen):
    """Neighbouring rows of one family on one task.

    Attributes:
        family: their section in the guide, where it has one.
        task: as people say it.
        data: data set and the split that is reported.
        metrics: those to show.
        comparison: where the rows are its variants.
        rows: in order.
    """

    family: str | None = None
    task: str
    data: str
    metrics: tuple[str, ...] = Field(min_length=1)
    comparison: str | None = None
    rows: tuple[Row, ...] = Field(min_length=1)


class Matrix(Frozen):
    """The whole layout.

    Attributes:
        metrics: every metric that a group shows.
        tables: groups of each table of the document, in order.
        left_out: configs without a row, and why.
    """

    metrics: dict[str, Metric]
    tables: dict[str, tuple[Group, ...]]
    left_out: dict[str, str] = Field(default_factory=dict)

    def groups(self) -> Iterator[Group]:
        """Those of every table."""
        for groups in self.tables.values():
            yield from groups

    def rows(self) -> Iterator[tuple[Group, Row]]:
        """Every row, with its group."""
        for group in self.groups():
            for row in group.rows:
                yield group, row

    def configs(self) -> set[str]:
        """Configs that have a row of their own or a reason to have none."""
        own = {row.of for group, row in self.rows() if group.comparison is None}
        return own | set(self.left_out)


def load_matrix(path: Path = MATRIX) -> Matrix:
    """The layout of a file.

    Raises:
        ConfigError: it is not one, or a group shows a metric that has no title; every fault is listed.
    """
    try:
        matrix = Matrix.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path} is not a matrix: {error}") from error
    shown = {metric for group in matrix.groups() for metric in group.metrics}
    shown |= {metric for _, row in matrix.rows() if row.published for metric in row.published.figures}
    if untitled := sorted(shown - set(matrix.metrics)):
        raise ConfigError(f"{path}: metrics: {', '.join(untitled)} have no title")
    return matrix
