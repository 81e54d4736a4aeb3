"""The numbers that travel with a bundle: inputs of every graph, and the outputs that any machine must reproduce."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from contract.manifest import Precision
from contract.rows import Array
from contract.signature import GenerateSignature, GraphKind, Signature
from export.cases import Case
from export.drive import Runner
from export.precisions import stored


def save_golden(
    path: Path,
    signature: Signature,
    precision: Precision,
    cases: Mapping[GraphKind, Case],
    runners: Mapping[GraphKind, Runner] | None,
) -> None:
    """Write `<graph>.in.<name>` and `<graph>.out.<name>` for every graph, in the types that the precision holds.

    The outputs are PyTorch's, or with `runners` those of the graphs themselves, for precisions whose rounding PyTorch
    does not know.
    """
    states = signature.states if isinstance(signature, GenerateSignature) else ()
    unchanged = {state.successor for state in states if state.write == "unchanged"}
    arrays: dict[str, Array] = {}
    for kind, case in cases.items():
        outputs = case.outputs if runners is None else runners[kind](case.inputs)
        declared = signature.graph(kind)
        for side, tensors, values in (("in", declared[0], case.inputs), ("out", declared[1], outputs)):
            for tensor in tensors:
                if tensor.name in unchanged:
                    continue
                arrays[f"{kind}.{side}.{tensor.name}"] = values[tensor.name].astype(stored(tensor, precision).dtype)
    np.savez_compressed(path, allow_pickle=False, **arrays)
