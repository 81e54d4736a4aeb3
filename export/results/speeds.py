"""Speeds of a comparison's variants, taken in turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from contract.manifest import Precision, Speed
from export.material import Material
from export.pipeline import Options, export_bundle
from export.results.measure import ANY_DROP, Report
from export.results.queue import RUNS
from export.results.record import RECORDS, Record, fingerprint, load_records, save_record
from export.runs import from_run
from export.speed import measure_speed
from models.registry import ConfigError
from models.training.comparison import Comparison, planned_runs
from models.training.config import TrainConfig
from models.training.run import CONFIG, load_run
from models.training.task import load_config


class _Timed(NamedTuple):
    run: str
    material: Material
    bundle: Path
    precisions: tuple[Precision, ...]


def time_in_turns(
    name: str, comparison: Comparison, data: Path, report: Report, *, rounds: int = 9, runs: Path = RUNS
) -> list[Record]:
    """Export the recorded variants of a comparison once more, time them in turns, and note each one's best round.

    What else a machine does only ever slows a round: the best is the one that says most of the variant.

    Args:
        name: of the comparison.
        comparison: whose exported runs are timed; those without a record of an export are left out.
        data: data folder.
        report: is told what is being done.
        rounds: how often each is timed.
        runs: where run folders are.

    Returns:
        The records, as they were saved.

    Raises:
        ConfigError: the folder of a run is gone.
        ExportError: a run cannot be exported.
    """
    records, folders = load_records(RECORDS), _folders(runs)
    taken: defaultdict[tuple[str, Precision], list[Speed]] = defaultdict(list)
    with TemporaryDirectory() as place:
        timed = []
        for one in planned_runs(name, comparison):
            if one.run in records and records[one.run].exported:
                report(f"{one.run}: exporting")
                material = from_run(load_run(_folder(one.config, folders), data))
                bundle = Path(place) / one.config.name / "1"
                precisions = tuple(made.precision for made in records[one.run].exported if made.speed)
                export_bundle(material, bundle, Options(precisions, precisions, metric_drop=ANY_DROP), _silent)
                timed.append(_Timed(one.run, material, bundle, precisions))
        for number in range(rounds):
            report(f"{name}: round {number + 1} of {rounds}")
            for run, material, bundle, precisions in timed:
                for precision in precisions:
                    with material.engine(bundle, precision) as ask:
                        ask(material.rows)  # a short warm-up leaves an engine up to twice as slow as it will be
                        taken[run, precision].append(measure_speed(ask, material.rows, material.timing))
    saved = []
    for run in (one.run for one in timed):
        exported = [
            made.model_copy(update={"speed": _best(taken[run, made.precision])}) if made.speed else made
            for made in records[run].exported
        ]
        saved.append(records[run].model_copy(update={"exported": tuple(exported)}))
        report(f"{run}: {save_record(saved[-1])}")
    return saved


def _folders(runs: Path) -> dict[str, Path]:
    """The folders of the runs of all comparisons, by the fingerprints of their configs."""
    return {fingerprint(load_config(path)): path.parent for path in (runs / "comparisons").glob(f"*/*/{CONFIG}")}


def _folder(config: TrainConfig, folders: Mapping[str, Path]) -> Path:
    """The folder of a run of this config, which may be another comparison's."""
    if folder := folders.get(fingerprint(config)):
        return folder
    raise ConfigError(f"{config.name}: no run of any comparison has this config: train it anew")


def _best(speeds: Sequence[Speed]) -> Speed:
    best: dict[str, Any] = {
        "latency_seconds": min(speed.latency_seconds for speed in speeds),
        "rows_per_second": max(speed.rows_per_second for speed in speeds),
    }
    return speeds[0].model_copy(update=best)


def _silent(stage: str) -> None:
    """Nobody is told."""
