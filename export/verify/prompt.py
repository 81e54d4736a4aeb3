"""How likely the graphs of a generator without a source find what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from contract.inputs import prompt_row
from contract.rows import pad_rows
from contract.text import PAD_ID
from export.drive import Decoder
from export.verify.graphs import Runners
from service.runtime.verify import log_probabilities

if TYPE_CHECKING:
    from export.prompt import PromptMaterial

_ROWS = 32
"""Sequences that are read at once."""


def mean_loss(material: PromptMaterial, runners: Runners) -> float:
    """Mean negative log-likelihood, in nats, of a token of the material's sequences, each fed from its start."""
    ordered = sorted(material.sequences, key=len)
    parts = [ordered[start : start + _ROWS] for start in range(0, len(ordered), _ROWS)]
    return sum(_loss(material, runners, part) for part in parts) / sum(map(len, ordered))


def _loss(material: PromptMaterial, runners: Runners, sequences: Sequence[Sequence[int]]) -> float:
    """Sum over all tokens of some sequences, of which the last is the longest."""
    rows, longest, bos = len(sequences), len(sequences[-1]), material.special.bos
    wanted = np.full((rows, longest), PAD_ID)
    for place, ids in zip(wanted, sequences, strict=True):
        place[: len(ids)] = ids
    signature = material.model.signature
    inputs = pad_rows(signature.inputs, [prompt_row([bos])] * rows)
    decoder = Decoder.start(signature, runners["encode"], runners["step"], inputs, capacity=longest)
    total, token_ids = 0.0, np.full(rows, bos)
    for column in wanted.T:
        outputs = decoder.advance(token_ids, material.vocabulary_size)
        found = log_probabilities(outputs["candidates"], outputs["scores"])[np.arange(rows), column]
        total -= float(found[column != PAD_ID].sum())
        token_ids = column
    return total
