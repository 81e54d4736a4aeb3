"""What is kept of a run: one JSON file, committed, from which every figure of the matrix is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from contract.manifest import Precision, Speed
from contract.signature import Frozen
from models.registry import ConfigError
from models.training.config import Hardware, TrainConfig

RECORDS = Path("docs/records")

_TOLD_ELSEWHERE: Mapping[str, Any] = {"name": True, "description": True, "data": {"licence", "origin"}}
"""Fields of a config that change nothing about its run."""


class Training(Frozen):
    """How a run was trained.

    `seconds` are those of its epochs on the clock, `processor_seconds` those of all threads, None where a run did not
    count them. `best_epoch` counts from 1. `hardware` is None where a run was stopped before it noted that.
    """

    epochs: int = Field(ge=1)
    planned_epochs: int = Field(ge=1)
    best_epoch: int = Field(ge=1)
    seconds: float = Field(gt=0)
    processor_seconds: float | None = Field(default=None, gt=0)
    hardware: Hardware | None = None


class Exported(Frozen):
    """One precision of the bundle that a run was exported to: its bytes, and what was measured of it.

    `max_error` is the largest difference from PyTorch over the golden inputs, `metrics` are validation scores.
    """

    precision: Precision
    status: Literal["verified", "unproven"]
    bytes: int = Field(gt=0)
    max_error: float | None = Field(default=None, ge=0)
    metrics: dict[str, float] = Field(default_factory=dict)
    speed: Speed | None = None


class Bucket(Frozen):
    """BLEU of the test sentences whose source has `lowest` to `highest` words (None: any number from `lowest`)."""

    lowest: int = Field(ge=0)
    highest: int | None
    sentences: int = Field(gt=0)
    bleu: float = Field(ge=0, le=100)


class Record(Frozen):
    """One run.

    Attributes:
        run: its path below the folder of records: a config's name, or `comparison/variant-seedN`.
        config: fingerprint of the config that it was trained with.
        seed: of its weights and its batches.
        validation: scores in points, by the metrics of the task.
        test: likewise; empty where the data have no test split.
        exported: what its export brought; empty where it was not exported.
        not_exported: why a precision is missing from `exported`.
        by_source_length: of a translator.
    """

    schema_version: Literal[1] = 1
    run: str
    config: str
    task: str
    architecture: str
    seed: int
    parameters: int = Field(gt=0)
    training: Training
    validation: dict[str, float]
    test: dict[str, float] = Field(default_factory=dict)
    exported: tuple[Exported, ...] = ()
    not_exported: str = ""
    by_source_length: tuple[Bucket, ...] = ()

    @property
    def scores(self) -> dict[str, float]:
        """Those to report: of the test split where there is one."""
        return self.test or self.validation


def fingerprint(config: TrainConfig) -> str:
    """Tells configs apart that train differently; fields at their defaults do not count, so new ones change nothing."""
    fields = config.model_dump(mode="json", exclude=_TOLD_ELSEWHERE, exclude_defaults=True)
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def place(run: str, records: Path = RECORDS) -> Path:
    """The file of a run's record."""
    return records / f"{run}.json"


def save_record(record: Record, records: Path = RECORDS) -> Path:
    """Write a record, over the one before it."""
    path = place(record.run, records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json(indent=1, exclude_defaults=True) + "\n", "utf-8")
    return path


def load_records(records: Path = RECORDS) -> dict[str, Record]:
    """Every record of a folder, by its run.

    Raises:
        ConfigError: a file is not a record, or is not where its run's record belongs.
    """
    found = {}
    for path in sorted(records.rglob("*.json")):
        try:
            record = Record.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ConfigError(f"{path} is not a record: {error}") from error
        if path != place(record.run, records):
            raise ConfigError(f"{path} is the record of {record.run!r}, which belongs in {place(record.run, records)}")
        found[record.run] = record
    return found
