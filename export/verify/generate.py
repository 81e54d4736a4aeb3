"""Holds a generator's graphs and its engine against PyTorch's reading of whole targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from contract.inputs import START
from contract.manifest import Precision
from contract.rows import Array, Row, axis_sizes, pad_rows
from export.drive import Decoder, Feed
from export.errors import RowDependenceError, RuntimeMismatchError, StepMismatchError
from export.verify.graphs import SAME_ROW, Runners
from service.runtime.bundle import open_bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.requests import GenerateRequest, Hypothesis, Search
from service.runtime.session import configure_threads
from service.runtime.verify import log_probabilities

if TYPE_CHECKING:
    from export.generate import GenerateMaterial


def unroll(
    material: GenerateMaterial, runners: Runners, rows: Sequence[Row], targets: Sequence[Sequence[int]]
) -> Array:
    """Log-probabilities `[rows, target, vocabulary]` of known targets, fed step by step."""
    decoder = Decoder.start(
        material.model.signature,
        runners["encode"],
        runners["step"],
        _batch(material, rows),
        capacity=len(targets[0]) + 1,
    )
    steps = []
    for token_ids in np.asarray(targets, np.int64).T:
        outputs = decoder.advance(token_ids, material.vocabulary_size)
        steps.append(log_probabilities(outputs["candidates"], outputs["scores"]))
    return np.stack(steps, axis=1)


def verify_steps(
    material: GenerateMaterial,
    runners: Runners,
    rows: Sequence[Row],
    targets: Sequence[Sequence[int]],
    tolerance: float,
) -> None:
    """Decoding step by step equals PyTorch's reading of the whole target at once.

    Raises:
        StepMismatchError: naming the first position that differs.
    """
    expected = _full_log_probabilities(material, _batch(material, rows), targets)
    errors = np.abs(unroll(material, runners, rows, targets) - expected).max(axis=2)
    if not errors.max() <= tolerance:
        row, position = np.argwhere(~(errors <= tolerance))[0]
        raise StepMismatchError(
            f"step: log-probabilities at position {position} of row {row} differ by {errors[row, position]:.3g} from "
            f"the full forward pass, allowed is {tolerance:.3g} (sizes {[_sizes(material, r) for r in rows]})"
        )


def verify_rows(
    material: GenerateMaterial,
    precision: Precision,
    runners: Runners,
    rows: Sequence[Row],
    targets: Sequence[Sequence[int]],
    tolerance: float,
) -> None:
    """A row alone gives the numbers that it gives in a padded batch.

    Most positions must agree to 1e-4 and all to `tolerance`: where activations are rounded, the last bit of a float
    may tip one now and then, but scales that depend on the batch move every row.

    Raises:
        RowDependenceError: naming the row that differs most.
    """
    together = unroll(material, runners, rows, targets)
    alone = np.concatenate(
        [unroll(material, runners, [row], [target]) for row, target in zip(rows, targets, strict=True)]
    )
    errors = np.abs(together - alone).max(axis=2)
    if not (np.median(errors) <= min(SAME_ROW, tolerance) and errors.max() <= tolerance):
        row = int(errors.max(axis=1).argmax())
        raise RowDependenceError(
            f"{precision}: row {row} (sizes {_sizes(material, rows[row])}) alone and beside {len(rows) - 1} rows "
            f"differs by {errors[row].max():.3g} in log-probability, median over all positions "
            f"{np.median(errors):.3g}; allowed are {tolerance:.3g} and {SAME_ROW:.3g}"
        )


@contextmanager
def decoding(
    material: GenerateMaterial, folder: Path, precision: Precision
) -> Iterator[Callable[[Sequence[Row]], list[Hypothesis]]]:
    """The decoding engine on a bundle, as a function: rows, all waiting at once → their greedy hypotheses."""
    configure_threads(1)
    engine = DecodingEngine(open_bundle(folder, precision=precision))

    def decode(rows: Sequence[Row]) -> list[Hypothesis]:
        found: list[Hypothesis] = []
        for start in range(0, len(rows), engine.settings.max_queue):
            tickets = [
                engine.submit(_request(material, row)) for row in rows[start : start + engine.settings.max_queue]
            ]
            found += [ticket.future.result().hypotheses[0] for ticket in tickets]
        return found

    engine.start()
    try:
        yield decode
    finally:
        engine.close(drain=False)


def verify_engine(
    material: GenerateMaterial, rows: Sequence[Row], hypotheses: Sequence[Hypothesis], tolerance: float
) -> None:
    """The engine's greedy output is PyTorch's: given what came before, no token is likelier than the chosen one.

    Raises:
        RuntimeMismatchError: naming the input and the first token that PyTorch would not have chosen.
    """
    for number, (row, hypothesis) in enumerate(zip(rows, hypotheses, strict=True)):
        eos = material.special.eos
        ending = [eos] if hypothesis.finished and eos is not None else []
        chosen = np.array([*hypothesis.token_ids, *ending], np.int64)
        table = _full_log_probabilities(
            material, _batch(material, [row]), [[material.first_token(row), *chosen[:-1].tolist()]]
        )[0]
        likelihoods = table[np.arange(len(chosen)), chosen]
        worse = np.flatnonzero(~(table.max(axis=1) - likelihoods <= tolerance))
        if len(worse):
            position = int(worse[0])
            raise RuntimeMismatchError(
                f"input {number} (sizes {_sizes(material, row)}): the engine chose token {chosen[position]} at "
                f"position {position}, PyTorch prefers {table[position].argmax()} by "
                f"{table[position].max() - likelihoods[position]:.3g}, allowed is {tolerance:.3g}"
            )
        error = abs(float(likelihoods.sum()) - hypothesis.log_probability)
        if not error <= tolerance * len(chosen):
            raise RuntimeMismatchError(
                f"input {number}: the engine's log-probability differs from PyTorch's by {error:.3g}, allowed is "
                f"{tolerance * len(chosen):.3g} over {len(chosen)} tokens"
            )


def _request(material: GenerateMaterial, row: Row) -> GenerateRequest:
    return GenerateRequest(
        {tensor.name: row[tensor.name] for tensor in material.model.signature.inputs},
        Search(max_length=material.max_length(row)),
        first_token=material.first_token(row),
        start=int(row.get(START, 0)),
    )


def _batch(material: GenerateMaterial, rows: Sequence[Row]) -> Feed:
    return pad_rows(material.model.signature.inputs, rows)


def _full_log_probabilities(material: GenerateMaterial, inputs: Feed, targets: Sequence[Sequence[int]]) -> Array:
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.no_grad():
        logits: torch.Tensor = material.model(tensors, torch.tensor(targets))
    table: Array = logits.log_softmax(dim=-1).numpy()
    return table


def _sizes(material: GenerateMaterial, row: Row) -> dict[str, int]:
    return axis_sizes(material.model.signature.inputs, row)
