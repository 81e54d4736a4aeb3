"""Holds a one-shot model's graphs and its engine against PyTorch, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from contract.manifest import Precision
from contract.rows import Array, Row, axis_sizes, pad_rows, split_rows
from contract.signature import PredictSignature
from export.cases import torch_runner
from export.drive import Feed, Runner
from export.errors import RowDependenceError, RuntimeMismatchError
from export.verify.graphs import SAME_ROW, Runners
from models.architecture import Predictor
from service.runtime.bundle import open_bundle
from service.runtime.oneshot import OneShotEngine
from service.runtime.requests import PredictRequest
from service.runtime.session import configure_threads
from service.runtime.verify import output_errors


def verify_rows(
    signature: PredictSignature, precision: Precision, runners: Runners, rows: Sequence[Row], tolerance: float
) -> None:
    """A row alone gives the numbers that it gives in a padded batch.

    Most rows must agree to 1e-4 and all to `tolerance`: where activations are rounded, the last bit of a float may tip
    one now and then, but scales that depend on the batch move every row.

    Raises:
        RowDependenceError: naming the row that differs most.
    """
    together = _outputs(signature, runners["predict"], rows)
    alone = [_outputs(signature, runners["predict"], [row])[0] for row in rows]
    errors = np.array([_error(signature, *both) for both in zip(alone, together, strict=True)])
    if not (np.median(errors) <= min(SAME_ROW, tolerance) and errors.max() <= tolerance):
        row = int(errors.argmax())
        raise RowDependenceError(
            f"{precision}: row {row} (sizes {axis_sizes(signature.inputs, rows[row])}) alone and beside "
            f"{len(rows) - 1} rows differs by {errors[row]:.3g}, median over all rows {np.median(errors):.3g}; "
            f"allowed are {tolerance:.3g} and {SAME_ROW:.3g}"
        )


@contextmanager
def answering(folder: Path, precision: Precision) -> Iterator[Callable[[Sequence[Row]], list[dict[str, Array]]]]:
    """The one-shot engine on a bundle, as a function: rows, all waiting at once → the outputs of each."""
    configure_threads(1)
    engine = OneShotEngine(open_bundle(folder, precision=precision))

    def answer(rows: Sequence[Row]) -> list[dict[str, Array]]:
        found: list[dict[str, Array]] = []
        for start in range(0, len(rows), engine.settings.max_queue):
            waiting = rows[start : start + engine.settings.max_queue]
            tickets = [engine.submit(PredictRequest(dict(row))) for row in waiting]
            found += [ticket.future.result().outputs for ticket in tickets]
        return found

    engine.start()
    try:
        yield answer
    finally:
        engine.close(drain=False)


def verify_engine(
    model: Predictor, rows: Sequence[Row], answers: Sequence[Mapping[str, Array]], tolerance: float
) -> None:
    """The engine's answers are PyTorch's.

    Raises:
        RuntimeMismatchError: naming the input.
    """
    run = torch_runner(model, "predict")
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        error = _error(model.signature, _outputs(model.signature, run, [row])[0], answer)
        if not error <= tolerance:
            raise RuntimeMismatchError(
                f"input {number} (sizes {axis_sizes(model.signature.inputs, row)}): the engine's answer differs from "
                f"PyTorch's by {error:.3g}, allowed is {tolerance:.3g}"
            )


def _outputs(signature: PredictSignature, run: Runner, rows: Sequence[Row]) -> list[Feed]:
    """The outputs of each row of a batch, cut to its own sizes."""
    outputs = run(pad_rows(signature.inputs, rows))
    return split_rows(signature.outputs, outputs, [axis_sizes(signature.inputs, row) for row in rows])


def _error(signature: PredictSignature, expected: Mapping[str, Array], actual: Mapping[str, Array]) -> float:
    return max(output_errors(signature, "predict", {}, expected, actual).values())
