"""Batched greedy decoding of any generator, for validation while it trains."""

from __future__ import annotations

import torch
from torch import Tensor

from contract.signature import State
from models.architecture import Generator, Tensors


@torch.no_grad()
def greedy_decode(model: Generator, inputs: Tensors, *, bos: int, eos: int, max_length: int) -> list[list[int]]:
    """The most likely token at each step, until EOS or `max_length` tokens; special tokens are left out.

    Works from the signature alone: statics are encode outputs or inputs handed on, states start from zeros or from an
    encode output and are replaced by what the step returns.
    """
    signature = model.signature
    encoded = model.encode(inputs)
    rows = next(iter(inputs.values())).shape[0]
    device = next(iter(inputs.values())).device
    statics = {s.name: inputs[s.name] if s.name in inputs else encoded[s.name] for s in signature.statics}
    states = {s.name: _initial(s, encoded, rows, max_length, device) for s in signature.states}
    token_ids = torch.full((rows,), bos, device=device)
    finished = torch.zeros(rows, dtype=torch.bool, device=device)
    chosen: list[Tensor] = []
    for position in range(max_length):
        logits, states, _ = model.step(token_ids, torch.full_like(token_ids, position), statics, states)
        token_ids = logits.argmax(dim=1)
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
