"""The graph behind BentoML's own adaptive batching (`batchable=True`), as its documentation sets it up.

`bentoml serve loadtest.bench.rivals.bento:Batched`, with the bundle's folder in `BENCH_BUNDLE`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml

from loadtest.bench.rivals.plain import BUNDLE_VARIABLE, Plain

_BATCH = 32


@bentoml.service(logging={"access": {"enabled": False}}, tracing={"excluded_urls": ".*"}, metrics={"enabled": False})
class Batched:
    """`POST /predict` with `{"asked": [one text or session]}`; `POST /batches` counts batches and rows so far."""

    def __init__(self) -> None:
        self._model = Plain(Path(os.environ[BUNDLE_VARIABLE]))
        self._batches = self._rows = 0

    @bentoml.api(batchable=True, max_batch_size=_BATCH)  # type: ignore[untyped-decorator]
    def predict(self, asked: list[Any]) -> list[Any]:
        """Answer each of them."""
        self._batches += 1
        self._rows += len(asked)
        return [self._model.write(outputs) for outputs in self._model.run([self._model.read(each) for each in asked])]

    @bentoml.api  # type: ignore[untyped-decorator]
    def batches(self) -> list[int]:
        """Batches and rows so far."""
        return [self._batches, self._rows]
