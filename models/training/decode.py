"""Batched decoding of any generator while it trains: the likeliest tokens to judge it, or drawn ones to learn from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from contract.signature import State
from models.architecture import Generator, Tensors


def greedy_decode(model: Generator, inputs: Tensors, *, bos: int, eos: int, max_length: int) -> list[list[int]]:
    """The most likely token at each step, until EOS or `max_length` tokens; special tokens are left out."""
    return _decode(model, inputs, lambda logits: logits.argmax(dim=1), 1, bos, eos, max_length)


def draw_texts(
    model: Generator, inputs: Tensors, *, copies: int, bos: int, eos: int, max_length: int
) -> list[list[int]]:
    """`copies` texts of each row of inputs in a row, each token drawn as probable as the model finds it."""

    def draw(logits: Tensor) -> Tensor:
        return logits.float().softmax(dim=1).multinomial(1).squeeze(1)

    return _decode(model, inputs, draw, copies, bos, eos, max_length)


@torch.no_grad()
def _decode(
    model: Generator,
    inputs: Tensors,
    choose: Callable[[Tensor], Tensor],
    copies: int,
    bos: int,
    eos: int,
    max_length: int,
) -> list[list[int]]:
    """Texts without special tokens, token by token as `choose` picks them from logits `[rows, vocabulary]`.

    Works from the signature alone: statics are encode outputs or inputs handed on, states start from zeros or from an
    encode output and are replaced by what the step returns.
    """
    signature = model.signature
    encoded = {**inputs, **model.encode(inputs)}
    known = {name: value.repeat_interleave(copies, dim=0) if copies > 1 else value for name, value in encoded.items()}
    first = next(iter(known.values()))
    rows, device = first.shape[0], first.device
    statics = {static.name: known[static.name] for static in signature.statics}
    states = {state.name: _initial(state, known, rows, max_length, device) for state in signature.states}
    token_ids = torch.full((rows,), bos, device=device)
    finished = torch.zeros(rows, dtype=torch.bool, device=device)
    chosen: list[Tensor] = []
    for position in range(max_length):
        logits, states, _ = model.step(token_ids, torch.full_like(token_ids, position), statics, states)
        token_ids = choose(logits)
        chosen.append(token_ids)
        finished |= token_ids == eos
        if finished.all():
            break
    return [_until(row, eos) for row in torch.stack(chosen, dim=1).tolist()]


def _initial(state: State, encoded: Tensors, rows: int, capacity: int, device: torch.device) -> Tensor:
    """The first value of a state; one that is written at positions gets room for `capacity` of them."""
    given = None if state.initial is None else encoded[state.initial]
    if given is not None and state.write != "at_position":
        return given
    sizes = {"rows": rows, "target": capacity}
    shape = [axis if isinstance(axis, int) else sizes[axis] for axis in state.axes]
    room = torch.zeros(shape, dtype=getattr(torch, state.dtype), device=device)
    if given is not None:
        room[tuple(slice(size) for size in given.shape)] = given
    return room


def _until(ids: list[int], eos: int) -> list[int]:
    return ids[: ids.index(eos)] if eos in ids else ids
