"""A one-shot model's outputs for many rows, computed by PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from contract.rows import Array, Row, axis_sizes, pad_rows, split_rows
from models.architecture import Architecture, Predictor
from models.registry import ConfigError
from models.training.data import plan_rows

BATCH_TOKENS = 8192


@torch.no_grad()
def predict_rows(model: Architecture, rows: Sequence[Row]) -> list[dict[str, Array]]:
    """Outputs of every row by name, in the order of the rows, each cut to its row's own sizes.

    Raises:
        ConfigError: the model does not answer in a single pass.
    """
    if not isinstance(model, Predictor):
        raise ConfigError(f"{type(model).__name__} does not answer in a single pass")
    signature = model.signature
    found: list[dict[str, Array]] = [{} for _ in rows]
    for indices in plan_rows(rows, BATCH_TOKENS, seed=0):
        chosen = [rows[i] for i in indices]
        inputs = {name: torch.from_numpy(array) for name, array in pad_rows(signature.inputs, chosen).items()}
        outputs = {name: tensor.numpy() for name, tensor in model(inputs).items()}
        sizes = [axis_sizes(signature.inputs, row) for row in chosen]
        for i, output in zip(indices, split_rows(signature.outputs, outputs, sizes), strict=True):
            found[i] = output
    return found
