"""What every rival does with a request: read it, run the graph, write a reply that says what ours says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contract.items import Catalogue
from contract.preprocessing import ItemPreprocessing, LabelPreprocessing
from contract.rows import Row, axis_sizes, pad_rows, split_rows
from contract.text import InputCodec
from service.runtime.bundle import open_bundle
from service.runtime.session import configure_threads

Reply = dict[str, Any]
BUNDLE_VARIABLE = "BENCH_BUNDLE"
"""Where a rival that has no command line of its own finds the folder of its bundle."""
_TOP_K = 20


class Plain:
    """A classifier or a recommender, without anything that is not needed to give one answer."""

    def __init__(self, folder: Path) -> None:
        configure_threads(1)
        bundle = open_bundle(folder, provider="cpu")
        preprocessing = bundle.manifest.preprocessing
        self._inputs, self._outputs = bundle.signature.graph("predict")
        self._names = [tensor.name for tensor in self._outputs]
        self._session = bundle.session("predict")
        self._labels: tuple[str, ...] = ()
        if isinstance(preprocessing, LabelPreprocessing):
            self._labels = preprocessing.labels
            self._codec = InputCodec.load(bundle.folder / preprocessing.tokenizer)
        else:
            assert isinstance(preprocessing, ItemPreprocessing)
            self._catalogue = Catalogue.load(bundle.folder / preprocessing.catalogue)

    def read(self, asked: str | list[Any]) -> Row:
        """A text or a session as the model's inputs."""
        if isinstance(asked, str):
            ids = np.array(self._codec.encode(asked).ids, dtype=np.int64)
            return {"source_ids": ids, "source_lengths": np.array(len(ids))}
        items = np.array([self._catalogue.index(item) for item in asked], dtype=np.int64)
        return {
            "item_ids": items,
            "item_counts": np.array(len(items)),
            "filter_ids": np.zeros(1, dtype=np.int64),
            "filter_mode": np.array(0),
            "k": np.array(_TOP_K),
        }

    def run(self, rows: Sequence[Row]) -> list[Row]:
        """Outputs of each row of a batch."""
        values = self._session.run(self._names, pad_rows(self._inputs, rows))
        outputs = dict(zip(self._names, values, strict=True))
        return list(split_rows(self._outputs, outputs, [axis_sizes(self._inputs, row) for row in rows]))

    def write(self, outputs: Row) -> Reply:
        """What is replied of a row's outputs."""
        scores = outputs["scores"].tolist()
        if self._labels:
            ranked = sorted(zip(scores, self._labels, strict=True), reverse=True)
            labels = [{"label": label, "score": math.exp(score)} for score, label in ranked]
            return {"predictions": [{**labels[0], "labels": labels}]}
        ids = self._catalogue.ids
        found = zip(outputs["candidates"].tolist(), scores, strict=True)
        return {"recommendations": [{"items": [{"item": ids[i - 1], "score": score} for i, score in found]}]}
