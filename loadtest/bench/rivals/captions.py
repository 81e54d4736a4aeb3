"""What a rival does with a picture: read it as the service does, encode a batch, step until the last row has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contract.images import Pixels, read_pixels
from contract.signature import GenerateSignature
from loadtest.bench.rivals.plain import Reply
from service.runtime.bundle import open_bundle
from service.runtime.requests import Array
from service.runtime.session import configure_threads
from service.runtime.storage import dimensions

Ids = list[int]


class PlainCaptioner:
    """A captioner, greedy, without anything that is not needed to give one caption.

    `encode_rows` pictures go through the encoder at a time: on a CPU, more of them take no less time each.
    """

    def __init__(self, folder: Path, encode_rows: int) -> None:
        configure_threads(1)
        bundle = open_bundle(folder, provider="cpu")
        signature = bundle.signature
        assert isinstance(signature, GenerateSignature), f"{folder} does not describe pictures"
        self._manifest, self._signature, self._codec = bundle.manifest, signature, bundle.target
        self._encode, self._step = bundle.session("encode"), bundle.session("step")
        self._encode_rows = encode_rows
        self._longest = self._manifest.limits.of("target")
        self._encoded = [tensor.name for tensor in signature.graph("encode")[1]]
        self._stepped = [tensor.name for tensor in signature.graph("step")[1]]

    def read(self, content: bytes) -> Pixels:
        """A picture file as the model's input."""
        preprocessing = self._manifest.image
        return read_pixels(content, preprocessing.size, preprocessing.fit)

    def run(self, pictures: Sequence[Pixels]) -> list[Ids]:
        """Ids of each picture's caption; nobody leaves the batch before all are done."""
        special, rows = self._manifest.special_ids, len(pictures)
        feeds = self._start(pictures)
        tokens = np.full(rows, special.bos, dtype=np.int64)
        going = np.ones(rows, dtype=bool)
        found: list[Ids] = [[] for _ in pictures]
        for position in range(self._longest):
            feeds |= {"token_ids": tokens, "position": np.full(rows, position), "k": np.asarray(1)}
            values = dict(zip(self._stepped, self._step.run(self._stepped, feeds), strict=True))
            tokens = values["candidates"][:, 0]
            going &= tokens != special.eos
            for row in np.nonzero(going)[0]:
                found[row].append(int(tokens[row]))
            if not going.any():
                break
            feeds |= {state.name: values[state.successor] for state in self._signature.states}
        return found

    def write(self, ids: Ids) -> Reply:
        """What is replied of a caption."""
        return {"captions": [{"text": self._codec.decode(ids)}]}

    def _start(self, pictures: Sequence[Pixels]) -> dict[str, Array]:
        """Statics and initial states of a batch."""
        parts = [pictures[start : start + self._encode_rows] for start in range(0, len(pictures), self._encode_rows)]
        runs = [self._encode.run(self._encoded, {"pixels": np.stack(part)}) for part in parts]
        columns = (np.concatenate(column) for column in zip(*runs, strict=True))
        encoded = dict(zip(self._encoded, columns, strict=True))
        feeds = {static.name: encoded[static.name] for static in self._signature.statics}
        for state in self._signature.states:
            shape = len(pictures), *dimensions(state, {"target": self._longest})
            feeds[state.name] = np.zeros(shape, state.dtype) if state.initial is None else encoded[state.initial]
        return feeds
