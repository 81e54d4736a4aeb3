"""A model behind BentoML's own adaptive batching (`batchable=True`), as its documentation sets it up.

`bentoml serve loadtest.bench.rivals.bento:Batched`, with the options of a rival in `BENCH_RIVAL`.
"""

from __future__ import annotations

import os
import shlex
from typing import Any

import bentoml

from loadtest.bench.rivals.options import VARIABLE, open_model, parse_options

_BATCH = 32


@bentoml.service(logging={"access": {"enabled": False}}, tracing={"excluded_urls": ".*"}, metrics={"enabled": False})
class Batched:
    """`POST /predict` with `{"asked": [one text, session or picture]}`."""

    def __init__(self) -> None:
        self._model = open_model(parse_options(__doc__, shlex.split(os.environ[VARIABLE])))

    @bentoml.api(batchable=True, max_batch_size=_BATCH)  # type: ignore[untyped-decorator]
    def predict(self, asked: list[Any]) -> list[Any]:
        """Answer each of them."""
        return [self._model.write(outputs) for outputs in self._model.run([self._model.read(each) for each in asked])]
