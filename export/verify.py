"""Holds graphs and bundles against the model they were made from. A breach is an error, never a warning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import torch
from sacrebleu.metrics.bleu import BLEU

from contract.manifest import DecodingDefaults, Precision
from contract.signature import GenerateSignature, GraphKind
from export.cases import Case
from export.drive import Array, Decoder, Feed, Row, Runner, collate
from export.errors import (
    AxesError,
    GraphFailedError,
    MetricError,
    NamesError,
    RowDependenceError,
    RuntimeMismatchError,
    StepMismatchError,
    ToleranceError,
)
from export.material import Material
from export.precisions import stored
from service.runtime.bundle import open_bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.requests import GenerateRequest, Hypothesis, Search
from service.runtime.session import Provider, configure_threads, create_session, cuda_available
from service.runtime.verify import log_probabilities, output_errors

Runners = Mapping[GraphKind, Runner]

_SAME_ROW = 1e-4
"""How close most positions of a row must be whatever rows and padding are beside it, in log-probability."""


def open_graph(path: Path, provider: Provider = "cpu") -> Runner:
    """A graph of a bundle, opened as the service opens it; feeds are rounded to the types it takes.

    Raises:
        GraphFailedError: the runtime refuses the graph, or later an input that is fed.
    """
    configure_threads(1)
    graph = f"{path.parent.name}/{path.stem}"
    try:
        session = create_session(path, provider)
    except Exception as error:  # the runtime's exceptions have no common class of their own
        raise GraphFailedError(f"{graph} cannot be opened on {provider}: {error}") from error
    names = [output.name for output in session.get_outputs()]
    halves = {value.name for value in session.get_inputs() if value.type == "tensor(float16)"}

    def run(feed: Mapping[str, Array]) -> Feed:
        rounded = {name: array.astype(np.float16) if name in halves else array for name, array in feed.items()}
        try:
            outputs = session.run(names, rounded)
        except Exception as error:  # as above
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in rounded.items())
            raise GraphFailedError(f"{graph} fails on {shapes}: {error}") from error
        return dict(zip(names, outputs, strict=True))

    return run


def has_cuda() -> bool:
    """Whether fp16 can be verified here."""
    return cuda_available()


def verify_structure(path: Path, kind: GraphKind, signature: GenerateSignature, precision: Precision) -> None:
    """The file is a valid graph whose inputs and outputs are those the signature declares.

    Raises:
        NamesError, AxesError: naming what differs.
    """
    onnx.checker.check_model(str(path))
    graph = ir.load(path).graph
    for side, declared, held in zip(
        ("inputs", "outputs"), signature.graph(kind), (graph.inputs, graph.outputs), strict=True
    ):
        names = [value.name for value in held]
        if names != [tensor.name for tensor in declared]:
            wanted = ", ".join(tensor.name for tensor in declared)
            raise NamesError(
                f"{precision}/{kind}: the {side} are {', '.join(map(str, names))}, the signature says {wanted}"
            )
        for tensor, value in zip(declared, held, strict=True):
            found = (_type_name(value), [str(size) for size in value.shape or ()])
            if found != (stored(tensor, precision).dtype, [str(axis) for axis in tensor.axes]):
                raise AxesError(
                    f"{precision}/{kind}: {tensor.name!r} is {found[0]} {found[1]}, "
                    f"the signature says {stored(tensor, precision).dtype} {list(tensor.axes)}"
                )


def verify_numbers(
    signature: GenerateSignature, precision: Precision, cases: Sequence[Case], runners: Runners, tolerance: float
) -> float:
    """Every graph gives PyTorch's numbers at the cases' shapes; returns the largest error.

    Raises:
        ToleranceError: naming graph, tensor, shapes and error.
    """
    errors = [0.0]
    for case in cases:
        for name, error in measure(signature, case, runners).items():
            if not error <= tolerance:
                raise ToleranceError(
                    f"{precision}/{case.kind}: {name!r} differs from PyTorch by {error:.3g}, allowed is "
                    f"{tolerance:.3g} (inputs {case.shapes})"
                )
            errors.append(error)
    return max(errors)


def measure(signature: GenerateSignature, case: Case, runners: Runners) -> dict[str, float]:
    """Largest absolute difference of each output of a case's graph from PyTorch."""
    return output_errors(signature, case.kind, case.inputs, case.outputs, runners[case.kind](case.inputs))


def unroll(material: Material, runners: Runners, rows: Sequence[Row], targets: Sequence[Sequence[int]]) -> Array:
    """Log-probabilities `[rows, target, vocabulary]` of known targets, fed step by step."""
    decoder = Decoder.start(
        material.model.signature, runners["encode"], runners["step"], collate(rows), capacity=len(targets[0]) + 1
    )
    steps = []
    for token_ids in np.asarray(targets, np.int64).T:
        outputs = decoder.advance(token_ids, material.target.vocabulary_size)
        steps.append(log_probabilities(outputs["candidates"], outputs["scores"]))
    return np.stack(steps, axis=1)


def verify_steps(
    material: Material, runners: Runners, rows: Sequence[Row], targets: Sequence[Sequence[int]], tolerance: float
) -> None:
    """Decoding step by step equals PyTorch's reading of the whole target at once.

    Raises:
        StepMismatchError: naming the first position that differs.
    """
    expected = _full_log_probabilities(material, collate(rows), targets)
    errors = np.abs(unroll(material, runners, rows, targets) - expected).max(axis=2)
    if not errors.max() <= tolerance:
        row, position = np.argwhere(~(errors <= tolerance))[0]
        raise StepMismatchError(
            f"step: log-probabilities at position {position} of row {row} differ by {errors[row, position]:.3g} from "
            f"the full forward pass, allowed is {tolerance:.3g} (source lengths {[_length(r) for r in rows]})"
        )


def verify_rows(
    material: Material,
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
    if not (np.median(errors) <= min(_SAME_ROW, tolerance) and errors.max() <= tolerance):
        row = int(errors.max(axis=1).argmax())
        raise RowDependenceError(
            f"{precision}: row {row} (source length {_length(rows[row])}) alone and beside {len(rows) - 1} rows "
            f"(source padded to {max(map(_length, rows))}) differs by {errors[row].max():.3g} in log-probability, "
            f"median over all positions {np.median(errors):.3g}; allowed are {tolerance:.3g} and {_SAME_ROW:.3g}"
        )


def decode(folder: Path, precision: Precision, rows: Sequence[Row]) -> list[Hypothesis]:
    """Greedy hypotheses of rows through the decoding engine on a bundle, all rows waiting at once."""
    configure_threads(1)
    bundle = open_bundle(folder, precision=precision)
    engine = DecodingEngine(bundle)
    defaults, limits = DecodingDefaults(), bundle.manifest.limits
    engine.start()
    try:
        found: list[Hypothesis] = []
        for start in range(0, len(rows), engine.settings.max_queue):
            tickets = [
                engine.submit(GenerateRequest(dict(row), Search(max_length=defaults.max_length(_length(row), limits))))
                for row in rows[start : start + engine.settings.max_queue]
            ]
            found += [ticket.future.result().hypotheses[0] for ticket in tickets]
        return found
    finally:
        engine.close(drain=False)


def verify_engine(material: Material, rows: Sequence[Row], hypotheses: Sequence[Hypothesis], tolerance: float) -> None:
    """The engine's greedy output is PyTorch's: given what came before, no token is likelier than the chosen one.

    Raises:
        RuntimeMismatchError: naming the input and the first token that PyTorch would not have chosen.
    """
    for number, (row, hypothesis) in enumerate(zip(rows, hypotheses, strict=True)):
        ending = [material.target.eos] if hypothesis.finished else []
        chosen = np.array([*hypothesis.token_ids, *ending], np.int64)
        table = _full_log_probabilities(material, collate([row]), [[material.target.bos, *chosen[:-1].tolist()]])[0]
        likelihoods = table[np.arange(len(chosen)), chosen]
        worse = np.flatnonzero(~(table.max(axis=1) - likelihoods <= tolerance))
        if len(worse):
            position = int(worse[0])
            raise RuntimeMismatchError(
                f"input {number} (source length {_length(row)}): the engine chose token {chosen[position]} at position "
                f"{position}, PyTorch prefers {table[position].argmax()} by "
                f"{table[position].max() - likelihoods[position]:.3g}, allowed is {tolerance:.3g}"
            )
        error = abs(float(likelihoods.sum()) - hypothesis.log_probability)
        if not error <= tolerance * len(chosen):
            raise RuntimeMismatchError(
                f"input {number}: the engine's log-probability differs from PyTorch's by {error:.3g}, allowed is "
                f"{tolerance * len(chosen):.3g} over {len(chosen)} tokens"
            )


def bleu(material: Material, hypotheses: Sequence[Hypothesis], references: Sequence[str]) -> float:
    """Lower-cased sacreBLEU of decoded hypotheses."""
    texts = [material.target.decode(hypothesis.token_ids) for hypothesis in hypotheses]
    return float(BLEU(lowercase=True).corpus_score(texts, [list(references)]).score)


def verify_metric(precision: Precision, value: float, reference: float, allowed: float) -> None:
    """A reduced precision costs at most `allowed` BLEU.

    Raises:
        MetricError: it costs more.
    """
    if not reference - value <= allowed:
        raise MetricError(
            f"{precision}: BLEU on the validation split is {value:.2f}, fp32 has {reference:.2f}: "
            f"{reference - value:.2f} lost, allowed is {allowed:.2f}"
        )


def _full_log_probabilities(material: Material, inputs: Feed, targets: Sequence[Sequence[int]]) -> Array:
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.no_grad():
        logits: torch.Tensor = material.model(tensors, torch.tensor(targets))
    table: Array = logits.log_softmax(dim=-1).numpy()
    return table


def _length(row: Row) -> int:
    return len(row["source_ids"])


def _type_name(value: ir.Value) -> str:
    return "?" if value.dtype is None else str(value.dtype.numpy())
