"""Inputs of every graph with the outputs that PyTorch computes for them, at any number of rows and lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from contract.rows import Array, Row, pad_rows
from contract.signature import GraphKind
from export.drive import Decoder, Feed, Runner
from export.graphs import graph_module
from models.architecture import Architecture, Generator, Predictor

STEPS = ("step", "explain_step")


@dataclass(frozen=True)
class Case:
    """One call of one graph: inputs and PyTorch's outputs, in fp32, by name."""

    kind: GraphKind
    inputs: Feed
    outputs: Feed

    @property
    def shapes(self) -> str:
        """For messages: the shape of every input."""
        return ", ".join(f"{name} {list(array.shape)}" for name, array in self.inputs.items())


def torch_runner(model: Architecture, kind: GraphKind) -> Runner:
    """A graph of the model, computed by PyTorch."""
    module = graph_module(model, kind)

    def run(feed: Mapping[str, Array]) -> Feed:
        with torch.no_grad():
            outputs = module(*(torch.from_numpy(np.asarray(feed[name])) for name in module.input_names))
        return {name: value.numpy() for name, value in zip(module.output_names, outputs, strict=True)}

    return run


def predict_cases(model: Predictor, rows: Sequence[Row]) -> dict[GraphKind, Case]:
    """One case of every graph of a one-shot model in evaluation mode, on rows of any sizes."""
    batch = pad_rows(model.signature.inputs, rows)
    cases = {}
    for kind in model.signature.graph_kinds():
        inputs = {tensor.name: batch[tensor.name] for tensor in model.signature.graph(kind)[0]}
        cases[kind] = Case(kind, inputs, torch_runner(model, kind)(inputs))
    return cases


def generate_cases(
    model: Generator, rows: Sequence[Row], targets: Sequence[Sequence[int]], vocabulary: int
) -> dict[GraphKind, Case]:
    """One case of every graph of a generator.

    Args:
        model: in evaluation mode.
        rows: the sources, of any lengths.
        targets: token ids of each row, starting with BOS, one as long as the other.
        vocabulary: number of target ids; a step is asked for all of them.

    Row i stands at position `(i + 1) mod target` of the step cases, so rows of different positions are side by side.
    """
    signature = model.signature
    batch = pad_rows(signature.inputs, rows)
    target_ids = np.asarray(targets, dtype=np.int64)
    cases = {}
    for kind in signature.graph_kinds():
        run = torch_runner(model, kind)
        if kind == "encode":
            inputs = batch
        elif kind in STEPS:
            inputs = _step_inputs(model, kind, batch, target_ids, vocabulary)
        else:
            inputs = {**batch, "target_ids": target_ids}
        cases[kind] = Case(kind, inputs, run(inputs))
    return cases


def _step_inputs(model: Generator, kind: GraphKind, batch: Feed, target_ids: Array, vocabulary: int) -> Feed:
    """What `kind` is given when row i has taken `(i + 1) mod target` steps."""
    length = target_ids.shape[1]
    decoder = Decoder.start(
        model.signature, torch_runner(model, "encode"), torch_runner(model, kind), batch, capacity=length
    )
    feeds = []
    for position in range(length):
        feeds.append(decoder.feed(target_ids[:, position], vocabulary))
        decoder.advance(target_ids[:, position], vocabulary)
    mixed: Feed = {"k": np.array(vocabulary, np.int64)}
    for name in [name for name in feeds[0] if name not in mixed]:
        mixed[name] = np.stack([feeds[(row + 1) % length][name][row] for row in range(len(target_ids))])
    return mixed
