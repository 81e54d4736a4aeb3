"""Generate models in NumPy, for the slots and the batch: their candidates depend on every token of their own past.

One reads texts, one pictures, and one has no source but goes on where a prompt ends. They read and write the slots'
memory at their addresses, as ONNX Runtime does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.inputs import prompt_row
from contract.rows import pad_rows
from contract.signature import GenerateSignature, State, Tensor
from service.runtime.slots import Slots
from service.runtime.storage import Storage

VOCABULARY = 11
BOS, EOS = 2, 3

REGIONS = 4
WINDOW = 3
LONGEST_PROMPT = 33

_STATES = (
    State(name="hidden", dtype="float32", axes=("rows", 3), initial="start", write="replaced"),
    State(name="cache", dtype="float32", axes=("rows", 2, "target", 1), write="at_position"),
)
TEXTS = GenerateSignature(
    inputs=(
        Tensor(name="source_ids", dtype="int64", axes=("rows", "source")),
        Tensor(name="source_lengths", dtype="int64", axes=("rows",)),
    ),
    statics=(
        Tensor(name="source_lengths", dtype="int64", axes=("rows",)),
        Tensor(name="memory", dtype="float32", axes=("rows", "source", 2)),
    ),
    states=_STATES,
)
PICTURES = GenerateSignature(
    inputs=(Tensor(name="pixels", dtype="uint8", axes=("rows", 2, 2, 3)),),
    statics=(Tensor(name="memory", dtype="float32", axes=("rows", REGIONS, 2)),),
    states=_STATES,
)

PROMPTS = GenerateSignature(
    inputs=(
        Tensor(name="prompt_ids", dtype="int64", axes=("rows", "target")),
        Tensor(name="prompt_lengths", dtype="int64", axes=("rows",)),
    ),
    states=(
        State(name="hidden", dtype="float32", axes=("rows", 3), initial="start", write="replaced"),
        State(name="cache", dtype="float32", axes=("rows", 2, "target", 1), initial="prefix", write="at_position"),
        State(name="window", dtype="float32", axes=("rows", WINDOW), initial="recent", write="circular"),
    ),
)


def row_of(signature: GenerateSignature, source: list[int]) -> dict[str, NDArray[Any]]:
    """A source as the model's inputs; a picture shows the first of it, over and over."""
    if signature is TEXTS:
        return {"source_ids": np.array(source), "source_lengths": np.array(len(source))}
    if signature is PROMPTS:
        return prompt_row(prompt_of(signature, source))
    pixels = np.resize(np.array(seen(signature, source), np.uint8), (REGIONS, 1)).repeat(3, axis=1)
    return {"pixels": pixels.reshape(2, 2, 3)}


def seen(signature: GenerateSignature, source: list[int]) -> list[int]:
    """What the model sees of a source beside its prompt."""
    if signature is PROMPTS:
        return []
    return source if signature is TEXTS else np.resize(source, REGIONS).tolist()


def prompt_of(signature: GenerateSignature, source: list[int]) -> list[int]:
    """What the model goes on from: BOS, and what follows it of a source that is a prompt."""
    return [BOS, *source[:LONGEST_PROMPT]] if signature is PROMPTS else [BOS]


def encode(signature: GenerateSignature, rows: Sequence[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    """Encode outputs and inputs of a batch."""
    batch = pad_rows(signature.inputs, rows)
    if signature is PROMPTS:
        return {**batch, **_read_prompts(batch["prompt_ids"], batch["prompt_lengths"])}
    if signature is TEXTS:
        lengths, sources = batch["source_lengths"], batch["source_ids"]
    else:
        lengths, sources = np.full(len(rows), REGIONS), batch["pixels"][..., 0].reshape(len(rows), REGIONS)
    memory = np.stack([sources, sources * 2], axis=-1).astype(np.float32)
    return {**batch, "memory": memory, "start": np.repeat(lengths[:, None], 3, axis=1).astype(np.float32)}


def _read_prompts(ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> dict[str, Any]:
    """States after the prompts; the cache holds padding beyond them, and zeros before the window come from nowhere."""
    window = np.zeros((len(ids), WINDOW), np.float32)
    for row, (tokens, length) in enumerate(zip(ids, lengths, strict=True)):
        for position in range(length):
            window[row, position % WINDOW] = tokens[position]
    return {
        "start": np.repeat(lengths[:, None], 3, axis=1).astype(np.float32),
        "prefix": np.repeat(ids[:, None, :, None], 2, axis=1).astype(np.float32),
        "recent": window,
    }


def log_probabilities(source: list[int], tokens: list[int]) -> NDArray[np.float64]:
    """Scores of the next token given a source and the tokens so far (BOS first)."""
    generator = np.random.default_rng([*source, 99, *tokens])
    logits = generator.normal(size=VOCABULARY) * 2
    return np.asarray(logits - np.log(np.exp(logits).sum()))


class ToyStepper:
    """Stands where `Stepper` does; the cache holds the row's tokens, the hidden state its step count."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.token_ids = np.zeros(slots.count, dtype=np.int64)
        self.positions = np.zeros(slots.count, dtype=np.int64)

    def step(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Candidates and scores of the live rows."""
        live = self._slots.live
        inputs = {name: _view(storage, live) for _, name, storage in self._slots.inputs()}
        outputs = {name: _view(storage, live) for _, name, storage in self._slots.outputs()}
        candidates = np.zeros((live, k), dtype=np.int64)
        scores = np.zeros((live, k), dtype=np.float32)
        for row in range(live):
            position = int(self.positions[row])
            outputs["next.cache"][row, :, position, 0] = self.token_ids[row]
            outputs["next.hidden"][row] = inputs["hidden"][row] + 1
            tokens = outputs["next.cache"][row, 1, : position + 1, 0].astype(int).tolist()
            if "window" in inputs:
                length, source = 0, []
                outputs["next.window"][row, position % WINDOW] = self.token_ids[row]
                recent = np.roll(outputs["next.window"][row], -(position + 1) % WINDOW)[-len(tokens) :]
                assert recent.tolist() == tokens[-WINDOW:]
            else:
                length = int(inputs["source_lengths"][row]) if "source_lengths" in inputs else REGIONS
                source = inputs["memory"][row, :length, 0].astype(int).tolist()
            assert outputs["next.hidden"][row].tolist() == [length + position + 1] * 3
            distribution = log_probabilities(source, tokens)
            candidates[row] = np.argsort(-distribution, kind="stable")[:k]
            scores[row] = distribution[candidates[row]]
        self._slots.swap()
        return candidates, scores


def _view(storage: Storage, rows: int) -> NDArray[Any]:
    shape = (rows, *storage.dims)
    dtype = np.dtype(storage.tensor.dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = (ctypes.c_uint8 * size).from_address(storage.address)
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
