from __future__ import annotations

import pytest

from export.results import rows
from export.results.matrix import Group, Metric, Published, Row
from export.results.rows import Recorded
from models.registry import ConfigError
from models.training.comparison import Comparison
from models.training.config import Hardware
from tests.export.results.records import EXPORTED, SPEED, make_record

METRICS = {"bleu": Metric(title="BLEU"), "error": Metric(title="error", falling=True)}


def row(published: Published | None = None, values: tuple[float, ...] = (31.5,), metric: str = "bleu") -> Recorded:
    listed = Row(of="model", architecture="Transformer", published=published)
    group = Group(task="translation", data="test", metrics=(metric,), rows=(listed,))
    return Recorded(group, listed, [make_record(test={metric: value}) for value in values], len(values))


def published(figure: float, *, metric: str = "bleu", compared: bool = True) -> Published:
    return Published(figures={metric: figure}, source="Somebody 2020", compared=compared)


def test_seeds_are_told_with_their_spread() -> None:
    assert rows.quality(row(), METRICS) == "BLEU 31.50"
    assert rows.quality(row(values=(30.0, 31.0, 32.0)), METRICS) == "BLEU 31.00 ± 1.00"


def test_a_metric_that_was_not_recorded_is_named_with_those_that_were() -> None:
    with pytest.raises(ConfigError, match="has no 'accuracy'; it has bleu"):
        row().values("accuracy")


@pytest.mark.parametrize(
    ("variant", "note", "told"),
    [("two layers", "", "two layers"), ("two layers", "goes on", "two layers; goes on"), ("", "goes on", "goes on")],
)
def test_a_note_is_told_beside_the_variant(variant: str, note: str, told: str) -> None:
    listed = Row(of="model", architecture="Transformer", variant=variant, note=note)
    assert rows.variant(Recorded(row().group, listed, row().records)) == told


def test_seeds_that_are_missing_are_told() -> None:
    whole = row(values=(30.0, 32.0))
    part = Recorded(whole.group, whole.row, whole.records[:1], planned=3)
    assert rows.quality(part, METRICS) == "BLEU 30.00 (1 of 3 seeds)"


@pytest.mark.parametrize(
    ("metric", "figure", "told"),
    [
        ("bleu", 33.0, "BLEU 33 (Somebody 2020): BLEU missed by 1.50"),
        ("bleu", 31.5, "BLEU 31.5 (Somebody 2020): reached"),
        ("bleu", 30.0, "BLEU 30 (Somebody 2020): reached"),
        ("error", 30.0, "error 30 (Somebody 2020): error missed by 1.50"),
        ("error", 32.0, "error 32 (Somebody 2020): reached"),
    ],
)
def test_a_published_figure_is_reached_or_missed_by_so_much(metric: str, figure: float, told: str) -> None:
    assert rows.beside(row(published(figure, metric=metric), metric=metric), METRICS) == told


def test_figures_of_another_protocol_are_told_alone() -> None:
    beside = row(published(90.0, compared=False))
    assert rows.beside(beside, METRICS) == "BLEU 90 (Somebody 2020)"
    assert rows.misses(beside, METRICS) == {}
    assert rows.beside(row(), METRICS) == "–"


def test_what_an_export_brought_stands_side_by_side() -> None:
    made = row()
    assert rows.sizes(made) == "20.9 / 5.2 / 10.5"
    assert rows.errors(made) == "2e-06 / 0.1"
    assert rows.latency(made) == "12.5 / 12.5"
    assert rows.rate(made) == "1,230 / 1,230"
    assert rows.parameters(made) == "5.23 M"


def test_what_takes_seconds_is_told_in_plain_figures() -> None:
    slow = SPEED.model_copy(update={"latency_seconds": 2.33, "rows_per_second": 1.79})
    exported = (EXPORTED[0].model_copy(update={"speed": slow}),)
    made = Recorded(row().group, row().row, [make_record(exported=exported)])
    assert rows.latency(made) == "2,330 / –"
    assert rows.rate(made) == "1.79 / –"


def test_speeds_of_another_processor_are_marked() -> None:
    usual, other = make_record("one"), SPEED.model_copy(update={"processor": "another processor"})
    moved = make_record("two", exported=(EXPORTED[0].model_copy(update={"speed": other}),))
    again = make_record("three")
    groups = [
        Group(task="t", data="d", metrics=("bleu",), rows=(Row(of=name, architecture="a"),))
        for name in ("one", "two", "three")
    ]
    found = list(rows.recorded(groups, {record.run: record for record in (usual, moved, again)}, {}))
    assert [rows.latency(made) for made in found] == ["12.5 / 12.5", "12.5 / – †", "12.5 / 12.5"]
    assert [rows.rate(made) for made in found] == ["1,230 / 1,230", "1,230 / – †", "1,230 / 1,230"]


def test_what_was_not_exported_is_told_as_such() -> None:
    bare = Recorded(row().group, row().row, [make_record(exported=(), parameters=41_234)])
    assert {rows.sizes(bare), rows.errors(bare), rows.latency(bare), rows.rate(bare)} == {"–"}
    assert rows.parameters(bare) == "41 k"


def test_training_is_told_in_processor_time_where_it_was_counted() -> None:
    assert rows.training_time(row()) == "90 s CPU"
    training = make_record().training.model_copy(update={"processor_seconds": None})
    for seconds, told in ((600.0, "10 min"), (9000.0, "2.5 h")):
        timed = make_record(training=training.model_copy(update={"seconds": seconds}))
        assert rows.training_time(Recorded(row().group, row().row, [timed])) == told
    mixed = training.model_copy(update={"hardware": Hardware(precision="bf16-mixed")})
    assert rows.training_time(Recorded(row().group, row().row, [make_record(training=mixed)])) == "10 min, bf16"


def test_rows_are_found_by_config_or_by_variant_and_seed() -> None:
    comparison = Comparison(title="Cells", base="entities", variants={"gru": {}, "lstm": {}}, seeds=(1, 2))
    single = Group(task="t", data="d", metrics=("bleu",), rows=(Row(of="model", architecture="a"),))
    compared = Group(
        task="t",
        data="d",
        metrics=("bleu",),
        comparison="cells",
        rows=(Row(of="gru", architecture="GRU"), Row(of="lstm", architecture="LSTM")),
    )
    records = {name: make_record(name) for name in ("model", "cells/lstm-seed1", "cells/lstm-seed2", "stray")}
    found = list(rows.recorded([single, compared], records, {"cells": comparison}))
    assert [(one.row.of, len(one.records), one.planned) for one in found] == [("model", 1, 1), ("lstm", 2, 2)]
