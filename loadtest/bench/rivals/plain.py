"""What every rival does with a request: read it, run the model, write a reply that says what ours says."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from contract.images import read_pixels
from contract.items import Catalogue
from contract.preprocessing import ImagePreprocessing, ItemPreprocessing, LabelPreprocessing
from contract.rows import Array, Row, axis_sizes, pad_rows, split_rows
from contract.text import InputCodec
from service.runtime.bundle import Bundle

Reply = dict[str, Any]
Feeds = Mapping[str, Array]
TOP_K = 20


class Plain(Protocol):
    """A model without anything that is not needed to give one answer."""

    def read(self, asked: Any) -> Any:
        """What was asked, as the model's input."""

    def run(self, rows: Sequence[Any]) -> Sequence[Any]:
        """What the model makes of each of a batch."""

    def write(self, output: Any) -> Reply:
        """What is replied of it."""


class Predict(Protocol):
    """A one-shot model in some engine: a batch of inputs → outputs, by name."""

    def __call__(self, feeds: Feeds) -> Feeds: ...


class PlainPredictor:
    """A classifier or a recommender."""

    def __init__(self, bundle: Bundle, predict: Predict) -> None:
        preprocessing = bundle.manifest.preprocessing
        self._predict = predict
        self._inputs, self._outputs = bundle.signature.graph("predict")
        self._labels: tuple[str, ...] = ()
        if isinstance(preprocessing, LabelPreprocessing):
            self._labels = preprocessing.labels
            self._codec = InputCodec.load(bundle.folder / preprocessing.tokenizer)
        else:
            assert isinstance(preprocessing, ItemPreprocessing), f"{bundle.folder} neither classifies nor recommends"
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
            "k": np.array(TOP_K),
        }

    def run(self, rows: Sequence[Row]) -> list[Row]:
        """Outputs of each row of a batch."""
        outputs = self._predict(pad_rows(self._inputs, rows))
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


class Run(Protocol):
    """A batch that is being decoded."""

    def next(self, tokens: Array, position: int) -> Array:
        """The likeliest token of every row after `tokens` (BOS at position 0), both `[rows]`."""


class Start(Protocol):
    """A generator in some engine: batches of encoder inputs, which are decoded as one."""

    def __call__(self, parts: Sequence[Feeds]) -> Run: ...


class PlainGenerator:
    """A translator or a captioner, greedy: a batch is encoded, and stepped until the last row of it has ended.

    `encode_rows` rows go through the encoder at a time; None is all. On a CPU, many pictures take no less time each.
    """

    def __init__(self, bundle: Bundle, start: Start, encode_rows: int | None = None) -> None:
        self._bundle, self._start, self._encode_rows = bundle, start, encode_rows
        self._inputs = bundle.signature.graph("encode")[0]
        self._longest = bundle.manifest.limits.of("target")

    def read(self, asked: str | bytes) -> Row:
        """A text, or a picture in base64 or as it is, as the model's inputs."""
        preprocessing = self._bundle.manifest.preprocessing
        if isinstance(preprocessing, ImagePreprocessing):
            content = base64.b64decode(asked) if isinstance(asked, str) else asked
            return {"pixels": read_pixels(content, preprocessing.size, preprocessing.fit)}
        assert isinstance(asked, str)
        ids = np.asarray(self._bundle.source.source(asked).ids, dtype=np.int64)
        return {"source_ids": ids, "source_lengths": np.asarray(len(ids))}

    def run(self, rows: Sequence[Row]) -> list[list[int]]:
        """Ids of each row's text; nobody leaves the batch before all are done."""
        special, size = self._bundle.manifest.special_ids, self._encode_rows or len(rows)
        parts = [pad_rows(self._inputs, rows[place : place + size]) for place in range(0, len(rows), size)]
        run = self._start(parts)
        tokens = np.full(len(rows), special.bos, dtype=np.int64)
        going = np.ones(len(rows), dtype=bool)
        found: list[list[int]] = [[] for _ in rows]
        for position in range(self._longest):
            tokens = run.next(tokens, position)
            going &= tokens != special.eos
            for row in np.nonzero(going)[0]:
                found[row].append(int(tokens[row]))
            if not going.any():
                break
        return found

    def write(self, ids: list[int]) -> Reply:
        """What is replied of a text."""
        results = "captions" if self._bundle.manifest.task == "caption" else "translations"
        return {results: [{"text": self._bundle.target.decode(ids)}]}


def open_plain(engine: str, folder: Path, *, provider: str, threads: int, run: Path | None, encode_rows: int) -> Plain:
    """A bundle's model in an engine, `onnx`, `torch` or `ctranslate2`; `run` is a training run to take weights from.

    Raises:
        ValueError: there is no such engine.
    """
    if engine == "onnx":
        from loadtest.bench.rivals.onnx import open_onnx

        return open_onnx(folder, provider, threads, encode_rows)
    if engine == "torch":
        from loadtest.bench.rivals.pytorch import open_torch

        return open_torch(folder, provider, threads, run)
    if engine == "ctranslate2":
        from loadtest.bench.rivals.translator import PlainTranslator

        return PlainTranslator(folder, provider, threads)
    raise ValueError(f"{engine!r} is none of the engines onnx, torch and ctranslate2")
