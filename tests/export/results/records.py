"""Records made up for tests."""

from __future__ import annotations

from typing import Any

from contract.manifest import Speed
from export.results.record import Exported, Record, Training

SPEED = Speed(latency_seconds=0.0125, rows_per_second=1230.0, waiting=32, processor="a processor")
EXPORTED = (
    Exported(precision="fp32", status="verified", bytes=20_940_000, max_error=2.1e-6, speed=SPEED),
    Exported(precision="int8", status="verified", bytes=5_250_000, max_error=0.1234, speed=SPEED),
    Exported(precision="fp16", status="unproven", bytes=10_500_000),
)


def make_record(run: str = "model", **fields: Any) -> Record:
    training = Training(epochs=8, planned_epochs=10, best_epoch=7, seconds=600.0, processor_seconds=90.4)
    return Record.model_validate(
        {
            "run": run,
            "config": "0123456789abcdef",
            "task": "translate",
            "architecture": "transformer",
            "seed": 1,
            "parameters": 5_227_008,
            "training": training,
            "validation": {"bleu": 30.0},
            "test": {"bleu": 31.5},
            "exported": EXPORTED,
        }
        | fields
    )
