"""From a finished run to its record: scores of its splits, and what an export of it weighs, errs and takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isnan, nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.manifest import Manifest, Precision, Variant, load_manifest
from contract.versions import latest_version
from export.errors import ExportError
from export.pipeline import Options, export_bundle
from export.results.lengths import bleu_by_length
from export.results.record import Bucket, Exported, Record, Training, fingerprint
from export.runs import from_run
from models.data.lines import EmptySplitError
from models.registry import ConfigError
from models.tasks.translate.data import read_split
from models.tasks.translate.evaluate import translate
from models.training.config import Hardware, NoSplitError, Split
from models.training.report import read_metrics
from models.training.run import RESULT, Run
from models.training.task import parse_config

_ALL: tuple[Precision, ...] = ("fp32", "int8", "fp16")
_SINGLE: tuple[Precision, ...] = ("fp32", "fp16")
ANY_DROP = 100.0
"""Points that int8 may cost: a record says what it costs, and does not refuse it."""

Report = Callable[[str], None]


def score_run(run: Run[Any, Any], name: str, report: Report, *, by_source_length: bool = False) -> Record:
    """The record of a finished run, without an export.

    Args:
        run: what to measure.
        name: what its record goes by.
        report: is told what is being done.
        by_source_length: whether to take BLEU by the length of the source too, of a translator.

    Raises:
        ConfigError: the run lacks a file, or its config does not fit its data.
        DataError: a file of the data is missing or broken.
    """
    training = _training(run)
    report("validation")
    validation = _scores(run, "validation")
    report("test")
    try:
        test = _scores(run, "test")
    except (EmptySplitError, NoSplitError):
        test = {}
    return Record(
        run=name,
        config=fingerprint(run.config),
        task=run.config.task,
        architecture=run.config.architecture_name,
        seed=run.config.seed,
        parameters=sum(parameter.numel() for parameter in run.model.parameters()),
        training=training,
        validation=validation,
        test=test,
        by_source_length=_buckets(run) if by_source_length else (),
    )


def with_export(record: Record, run: Run[Any, Any], report: Report) -> Record:
    """The record with what an export of its run brings; the bundle itself is thrown away.

    Raises:
        ExportError: not even fp32 can be exported.
    """
    material = from_run(run)
    with TemporaryDirectory() as folder:
        target = Path(folder) / run.config.name / "1"
        try:
            manifest = export_bundle(material, target, Options(_ALL, _ALL, metric_drop=ANY_DROP), report)
            missing = ""
        except ExportError as error:
            report(f"once more without int8: {error}")
            manifest = export_bundle(material, target, Options(_SINGLE, _SINGLE), report)
            missing = f"int8: {error}"
    return with_bundle(record, manifest).model_copy(update={"not_exported": missing})


def with_bundle(record: Record, manifest: Manifest) -> Record:
    """The record with what the manifest of its run's bundle says."""
    return record.model_copy(update={"exported": tuple(_measured(manifest, variant) for variant in manifest.variants)})


def find_bundle(record: Record, bundles: Path) -> Manifest | None:
    """The bundle, among those of a folder, that was exported from a record's run: its training config is the same.

    Raises:
        BundleError: a folder there is not a sound bundle.
    """
    for folder in sorted(path for path in bundles.iterdir() if path.is_dir()):
        manifest = load_manifest(latest_version(folder))
        if _trained_by(manifest) == record.config:
            return manifest
    return None


def _trained_by(manifest: Manifest) -> str | None:
    """The fingerprint of a bundle's training config; None if an earlier release wrote it, with fields since gone."""
    try:
        return fingerprint(parse_config(manifest.training, manifest.name))
    except ConfigError:
        return None


def _training(run: Run[Any, Any]) -> Training:
    rows = read_metrics(run.path)
    if not rows:
        raise ConfigError(f"{run.path} has no metrics: it was not trained here")
    judged = f"validation_{run.task.scores[0]}"
    processor = sum(row.get("processor_seconds", nan) for row in rows)
    result = run.path / RESULT
    hardware = Hardware(**json.loads(result.read_text("utf-8"))["hardware"]) if result.is_file() else None
    return Training(
        epochs=len(rows),
        planned_epochs=run.config.training.epochs,
        best_epoch=1 + int(max(rows, key=lambda row: row[judged])["epoch"]),
        seconds=round(sum(row["seconds"] for row in rows), 1),
        processor_seconds=None if isnan(processor) else round(processor, 1),
        hardware=hardware,
    )


def _scores(run: Run[Any, Any], split: Split) -> dict[str, float]:
    found = run.task.evaluate(run, split)
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _buckets(run: Run[Any, Any]) -> tuple[Bucket, ...]:
    pairs = read_split(run.config.data, run.root, "test")
    sources, references = [source for source, _ in pairs], [target for _, target in pairs]
    return bleu_by_length(sources, translate(run, sources), references)


def _measured(manifest: Manifest, variant: Variant) -> Exported:
    own = [file.bytes for name, file in manifest.files.items() if name.startswith(f"{variant.precision}/")]
    return Exported(
        precision=variant.precision,
        status=variant.status,
        bytes=sum(own),
        max_error=variant.max_error,
        metrics=variant.metrics,
        speed=variant.speed,
    )
