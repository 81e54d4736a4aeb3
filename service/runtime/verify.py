"""Proves a bundle from the numbers that travel with it: no PyTorch, no network, the code that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.manifest import Manifest, Precision, Variant, load_manifest
from contract.signature import GenerateSignature, GraphKind, Signature
from contract.versions import latest_version
from service.runtime.requests import Array
from service.runtime.session import Provider, configure_threads, create_session, cuda_available

_STEPS = ("step", "explain_step")
_LARGE = 16.0
"""Outputs beyond it, such as a tagger's emissions, which nothing keeps within bounds, differ by that much more: float32
rounds in proportion."""


class VerificationError(Exception):
    """A bundle whose graphs do not reproduce their golden outputs; the message lists every one that does not."""

    def __init__(self, folder: Path, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(f"{folder} is not proven:" + "".join(f"\n  - {fault}" for fault in faults))


@dataclass(frozen=True)
class Measurement:
    """How far one output of one graph is from its golden value.

    `max_error` is the largest absolute difference, None where the graph cannot run here; `note` then says why.
    """

    precision: Precision
    graph: GraphKind
    output: str
    max_error: float | None
    tolerance: float
    note: str = ""


def verify_bundle(folder: Path) -> list[Measurement]:
    """Check every hash of a bundle, then run every graph on its golden inputs.

    Graphs that need CUDA are measured where there is a device and reported as not run elsewhere.

    Raises:
        BundleError: `folder` (`NAME/VERSION/`, or `NAME/` for its newest version) is not a sound bundle.
        VerificationError: an output is further from its golden value than the variant's tolerance.
    """
    configure_threads(1)
    folder = latest_version(folder)
    manifest = load_manifest(folder)
    measured = [found for variant in manifest.variants for found in _verify_variant(folder, manifest, variant)]
    faults = [
        f"{m.precision}/{m.graph}: {m.output} differs by {m.max_error:.3g}, allowed is {m.tolerance:.3g}"
        for m in measured
        if m.max_error is not None and not m.max_error <= m.tolerance
    ]
    if faults:
        raise VerificationError(folder, faults)
    return measured


def output_errors(
    signature: Signature,
    kind: GraphKind,
    inputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
) -> dict[str, float]:
    """Largest absolute difference of each output of a graph, in proportion where it holds large numbers.

    Infinite where the shapes differ.

    Scores are compared by candidate, since equal scores may come in any order. Of a state written at positions only
    what has been written counts; of one that no step changes, nothing, since it is whatever buffer was bound.
    """
    expected, actual = dict(expected), dict(actual)
    errors = {}
    if "candidates" in expected:
        ranked = [(outputs.pop("candidates"), outputs.pop("scores")) for outputs in (expected, actual)]
        errors["scores"] = _ranking_difference(*ranked)
    if isinstance(signature, GenerateSignature) and kind in _STEPS:
        for outputs in (expected, actual):
            for state in signature.states:
                if state.write == "unchanged":
                    outputs.pop(state.successor, None)
                elif state.write == "at_position":
                    axis = state.axes.index("target")
                    outputs[state.successor] = _written(outputs[state.successor], inputs["position"], axis)
    return errors | {name: _difference(value, actual[name]) for name, value in expected.items()}


def log_probabilities(candidates: Array, scores: Array) -> Array:
    """`[rows, k]` of a step asked for the whole vocabulary → `[rows, vocabulary]` by token id."""
    table = np.full_like(scores, np.nan)
    np.put_along_axis(table, candidates.astype(np.int64), scores, axis=1)
    return table


def _verify_variant(folder: Path, manifest: Manifest, variant: Variant) -> list[Measurement]:
    with np.load(folder / variant.golden, allow_pickle=False) as stored:
        golden = {name: stored[name] for name in stored.files}
    provider: Provider = "cuda" if variant.provider == "cuda" else "cpu"
    measured = []
    for graph in variant.graphs:
        if provider == "cuda" and not cuda_available():
            note = "not run: it needs a CUDA device"
            measured += [
                Measurement(variant.precision, graph.kind, t.name, None, variant.tolerance, note) for t in graph.outputs
            ]
            continue
        inputs = _select(golden, f"{graph.kind}.in.")
        expected = _select(golden, f"{graph.kind}.out.")
        session = create_session(folder / graph.file, provider, prepack=False)
        actual = dict(zip(expected, session.run(list(expected), inputs), strict=True))
        errors = output_errors(manifest.signature, graph.kind, inputs, expected, actual)
        measured += [
            Measurement(variant.precision, graph.kind, name, error, variant.tolerance) for name, error in errors.items()
        ]
    return measured


def _select(golden: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in golden.items() if name.startswith(prefix)}


def _written(array: Array, position: Array, axis: int) -> Array:
    """The array with zeros past each row's `position` along `axis`."""
    shape = [1] * array.ndim
    shape[axis] = array.shape[axis]
    index = np.arange(array.shape[axis]).reshape(shape)
    last = position.astype(np.int64).reshape(-1, *[1] * (array.ndim - 1))
    written: Array = np.where(np.less_equal(index, last), array, np.zeros((), array.dtype))
    return written


def _ranking_difference(expected: tuple[Array, Array], actual: tuple[Array, Array]) -> float:
    """Largest difference of a candidate's score, of candidates and scores `[…, k]`, best first.

    A candidate that one side left out is taken at that side's lowest score, which bounds what it can have had; -inf
    marks a candidate that is none, whichever it is.
    """
    if expected[0].shape != actual[0].shape:
        return float("inf")
    errors = [0.0]
    for row in np.ndindex(expected[0].shape[:-1]):
        sides = [dict(zip(ids[row].tolist(), scores[row].tolist(), strict=True)) for ids, scores in (expected, actual)]
        lowest = [min(side.values()) for side in sides]
        for candidate in sides[0].keys() | sides[1].keys():
            one, other = (side.get(candidate, least) for side, least in zip(sides, lowest, strict=True))
            errors.append(0.0 if one == other else abs(one - other))
    return max(errors) if not any(np.isnan(errors)) else float("inf")


def _difference(expected: Array, actual: Array) -> float:
    if expected.shape != actual.shape:
        return float("inf")
    difference = np.abs(expected.astype(np.float64) - actual.astype(np.float64))
    if np.isnan(difference).any():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)) / _LARGE)
    return float(difference.max(initial=0.0)) / scale
