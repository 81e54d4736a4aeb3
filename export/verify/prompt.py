"""How likely the graphs of a generator find what is known to have been written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from contract.rows import Row, pad_rows
from export.drive import Decoder
from export.verify.graphs import Runners
from service.runtime.verify import log_probabilities

if TYPE_CHECKING:
    from export.generate import GenerateMaterial

_ROWS = 32
"""Sequences that are read at once."""


def mean_loss(material: GenerateMaterial, runners: Runners) -> float:
    """Mean negative log-likelihood, in nats, of a token of the material's examples of use, each fed from its start."""
    ordered = sorted(material.examples_of_use, key=lambda example: len(example[1]))
    parts = [ordered[start : start + _ROWS] for start in range(0, len(ordered), _ROWS)]
    return sum(_loss(material, runners, part) for part in parts) / sum(len(ids) - 1 for _, ids in ordered)


def _loss(material: GenerateMaterial, runners: Runners, examples: Sequence[tuple[Row, Sequence[int]]]) -> float:
    """Sum over all tokens but the first of some examples, of which the last is the longest."""
    lengths = np.array([len(ids) for _, ids in examples])
    known = np.zeros((len(examples), lengths[-1]), np.int64)
    for place, (_, ids) in zip(known, examples, strict=True):
        place[: len(ids)] = ids
    signature = material.model.signature
    inputs = pad_rows(signature.inputs, [row for row, _ in examples])
    decoder = Decoder.start(signature, runners["encode"], runners["step"], inputs, capacity=known.shape[1])
    total = 0.0
    for place in range(1, known.shape[1]):
        outputs = decoder.advance(known[:, place - 1], material.vocabulary_size)
        table = log_probabilities(outputs["candidates"], outputs["scores"])
        total -= float(table[np.arange(len(known)), known[:, place]][place < lengths].sum())
    return total
