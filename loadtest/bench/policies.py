"""Three ways to let requests into a batch, over the same graphs and the same book-keeping.

*Continuous* is what the engine does. *Leaving*: finished rows leave, but nobody comes in before the batch is empty.
*Dragging*: rows stay until the longest of their batch is done, as where a batch is a tensor of fixed shape.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contract.signature import GenerateSignature
from service.runtime.batch import Batch, Member
from service.runtime.bundle import Bundle
from service.runtime.decoding import EngineSettings
from service.runtime.device import create_storage
from service.runtime.requests import GenerateRequest, Search
from service.runtime.slots import Slots
from service.runtime.stepper import Encoder, Stepper

Policy = Literal["continuous", "leaving", "dragging"]
POLICIES: tuple[Policy, ...] = ("continuous", "leaving", "dragging")
_ENCODE_ROWS = EngineSettings().max_encode_rows


@dataclass(frozen=True)
class Workload:
    """Requests, and how many steps each takes, which a dragging batch must know to drag on."""

    requests: Sequence[GenerateRequest]
    steps: Sequence[int]


class Loop:
    """A decoding loop under one policy, without a thread: the caller admits and steps."""

    def __init__(self, bundle: Bundle, policy: Policy, concurrency: int, beam: int) -> None:
        manifest = bundle.manifest
        signature = manifest.signature
        assert isinstance(signature, GenerateSignature)
        limits = {"source": manifest.limits.source, "target": manifest.limits.target}
        slots = Slots(signature, concurrency * beam, limits, create_storage(bundle.provider))
        stepper = Stepper(bundle.session("step"), slots, bundle.provider, max_k=2 * beam)
        # A dragging batch goes on past the end token: its rows run until the length they were given.
        special = manifest.special.model_copy(update={"eos": None}) if policy == "dragging" else manifest.special
        self._encoder = Encoder(bundle.session("encode"), signature, bundle.provider)
        self._batch = Batch(slots, stepper, special, manifest.limits, manifest.vocabulary_size)
        self._policy = policy
        self._concurrency = concurrency

    @property
    def busy(self) -> bool:
        """Whether any row is live."""
        return self._batch.live > 0

    def admit(self, queue: deque[int], workload: Workload) -> list[int]:
        """Let in as many of the queued requests as the policy allows; returns them."""
        free = self._concurrency - len(self._batch.members)
        if self._policy != "continuous":
            free = 0 if self.busy else self._concurrency
        newcomers = [queue.popleft() for _ in range(min(free, len(queue)))]
        if newcomers:
            longest = max(workload.steps[index] for index in newcomers) if self._policy == "dragging" else None
            for start in range(0, len(newcomers), _ENCODE_ROWS):
                self._join(newcomers[start : start + _ENCODE_ROWS], workload, longest)
        return newcomers

    def step(self) -> list[tuple[int, int]]:
        """One step of the live rows → the requests that are done and how many steps each took."""
        return [(owner, member.steps) for owner, member in self._batch.step().done]

    def _join(self, indices: list[int], workload: Workload, longest: int | None) -> None:
        requests = [workload.requests[index] for index in indices]
        inputs = pad([request.inputs["source_ids"] for request in requests])
        members = [Member(_until(request.search, longest)) for request in requests]
        self._batch.join(indices, members, self._encoder.run(inputs), inputs["source_lengths"])


def pad(rows: Sequence[NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """`source_ids [rows, source]`, padded with zeros, and `source_lengths [rows]`."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
    for padded, row in zip(ids, rows, strict=True):
        padded[: len(row)] = row
    return {"source_ids": ids, "source_lengths": lengths}


def _until(search: Search, steps: int | None) -> Search:
    """The search, made to take exactly so many steps where there is no end token."""
    if steps is None:
        return search
    return Search(beam_size=search.beam_size, length_penalty=search.length_penalty, max_length=steps)
