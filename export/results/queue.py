"""Trains and records what is not recorded yet, one run after the other; stopped at any point, it goes on from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from export.results.measure import Report, score_run, with_export
from export.results.record import RECORDS, Record, fingerprint, load_records, save_record
from models.training.comparison import Comparison, Planned, planned_runs
from models.training.config import Hardware, TrainConfig
from models.training.run import CONFIG, load_run
from models.training.task import load_config
from models.training.trainer import discard, train

RUNS = Path("runs")


def missing(planned: Iterable[Planned], records: dict[str, Record]) -> Iterator[Planned]:
    """The runs without a record, or with that of another config."""
    for one in planned:
        record = records.get(one.run)
        if record is None or record.config != fingerprint(one.config):
            yield one


def same_run(one: Planned, comparison: Comparison, records: Mapping[str, Record]) -> Record | None:
    """The record of another comparison's run of the same config, with all that this one wants of it."""
    wanted = fingerprint(one.config)
    for record in records.values():
        exported = record.exported or not one.exported
        bucketed = record.by_source_length or not comparison.by_source_length
        if "/" in record.run and record.config == wanted and exported and bucketed:
            return record.model_copy(update={"run": one.run})
    return None


def forget_other(run: Path, config: TrainConfig) -> None:
    """Remove a run folder of another config: training would go on with it where only its budget differs."""
    if (run / CONFIG).is_file() and fingerprint(load_config(run / CONFIG)) != fingerprint(config):
        discard(run)


def work_off(
    name: str, comparison: Comparison, data: Path, report: Report, *, most: int | None = None, runs: Path = RUNS
) -> int:
    """Train, measure and record the missing runs of a comparison, `most` of them at most; returns how many.

    Raises:
        ConfigError: a variant is not a valid config, or does not fit its data.
        DataError: a file of the data is missing or broken.
        ExportError: a run that is to be exported cannot be.
    """
    waiting = list(missing(planned_runs(name, comparison), load_records(RECORDS)))[:most]
    hardware = Hardware(accelerator="cpu", precision=comparison.precision)
    for one in waiting:
        if found := same_run(one, comparison, load_records(RECORDS)):
            report(f"{one.run}: {save_record(found)}, as another comparison has it")
            continue
        report(f"{one.run}: training")
        folder = runs / "comparisons" / name
        forget_other(folder / one.config.name, one.config)
        run = load_run(train(one.config, data, folder, hardware=hardware, progress=False), data)
        report(f"{one.run}: measuring")
        record = score_run(run, one.run, report, by_source_length=comparison.by_source_length)
        if one.exported:
            record = with_export(record, run, report)
        report(f"{one.run}: {save_record(record)}")
    return len(waiting)
