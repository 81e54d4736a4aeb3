"""Continuous batching of encode and step graphs: requests join and leave the running loop at every step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.signature import GenerateSignature
from service.runtime.batch import Batch
from service.runtime.bundle import Bundle
from service.runtime.device import create_storage
from service.runtime.errors import BeamTooWideError, EngineFailedError, InputTooLongError, TooManyCandidatesError
from service.runtime.explain import Explainer
from service.runtime.intake import Intake
from service.runtime.limits import check_limits, sample_row
from service.runtime.member import Member
from service.runtime.newcomers import Encoded, Newcomers, Ticket
from service.runtime.pace import Pace
from service.runtime.requests import Array, GenerateRequest, Generation, Observer, Search
from service.runtime.slots import Slots, bytes_per_slot, capacity_axes
from service.runtime.stepper import Encoder, Stepper

_LOG = logging.getLogger(__name__)
_MOST_CANDIDATES = 1024
"""Tokens that a step may tell of a row, for requests that draw; a beam may need more."""
_SLOTS = {"cpu": 32, "cuda": 256}
_WARM_UP_SIZE = 8


@dataclass(frozen=True)
class EngineSettings:
    """Bounds of one engine.

    `slots` None takes what suits the provider: on CPU as many rows as the cores' caches hold the state of, on CUDA as
    many as fill it. `memory_budget` (bytes) caps the slots where the model's rows are large.

    Between two steps at most `max_encode_rows` newcomers are encoded, `encode_rows` of similar size at a time, and for
    no longer than `encode_seconds` or a step takes, but for one of them. While rows are running, newcomers that could
    be encoded together wait for each other up to `patience` steps, since one sentence alone costs half as much again.
    """

    slots: int | None = None
    memory_budget: int = 2 << 30
    max_queue: int = 1024
    max_encode_rows: int = 32
    encode_rows: int = 8
    encode_seconds: float = 0.02
    patience: int = 3


class DecodingEngine:
    """One generate model, its slots and its loop on a thread of its own.

    Raises:
        TypeError: the bundle's model is not of the generate shape.
    """

    def __init__(
        self, bundle: Bundle, settings: EngineSettings | None = None, observer: Observer | None = None
    ) -> None:
        signature = bundle.signature
        if not isinstance(signature, GenerateSignature):
            raise TypeError(f"{bundle.folder}: a {signature.shape} model cannot be decoded step by step")
        self.bundle = bundle
        self.settings = settings or EngineSettings()
        self._observer = observer or Observer()
        self._signature = signature
        manifest = bundle.manifest
        limits = {axis: manifest.limits.of(axis) for axis in capacity_axes(signature)}
        affordable = self.settings.memory_budget // max(bytes_per_slot(signature, limits), 1)
        self.slots = int(max(1, min(self.settings.slots or _SLOTS[bundle.provider], affordable)))
        slots = Slots(signature, self.slots, limits, create_storage(bundle.provider))
        self._most = min(manifest.vocabulary_size, max(_MOST_CANDIDATES, 2 * self.slots))
        stepper = Stepper(bundle.session("step"), slots, bundle.provider, self._most)
        self._batch = Batch(slots, stepper, manifest.special_ids, manifest.limits, manifest.vocabulary_size)
        self._explainer = Explainer(bundle)
        self._pace = Pace(self.settings.encode_seconds, self.settings.max_encode_rows)
        self._intake: Intake[Ticket] = Intake(self.settings.max_queue, self._observer)
        encoder = Encoder(bundle.session("encode"), signature, bundle.provider)
        self._newcomers = Newcomers(encoder, signature.inputs, self.settings.encode_rows, self._intake.fail)
        self._running: dict[int, Ticket] = {}
        self._fresh: list[Ticket] = []
        self._held = 0
        self._thread: threading.Thread | None = None

    @property
    def queue_depth(self) -> int:
        """Requests waiting for slots."""
        return len(self._intake)

    @property
    def room(self) -> int:
        """Requests that would be let in now."""
        return self._intake.room

    @property
    def running_rows(self) -> int:
        """Rows that the next step runs."""
        return self._batch.live

    @property
    def alive(self) -> bool:
        """Whether the loop runs. A fault of our own that ends it is never recovered from within."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Warm up and start the loop."""
        row = sample_row(self._signature.inputs, self.bundle.manifest.limits, _WARM_UP_SIZE)
        if self.bundle.provider == "cuda":
            self._newcomers.warm_up(row)
        self._thread = threading.Thread(target=self._loop, name=f"decoding-{self.bundle.manifest.name}", daemon=True)
        self._thread.start()
        self._warm_up(row)

    def submit(self, request: GenerateRequest) -> Ticket:
        """Queue a request.

        Raises:
            InputTooLongError, BeamTooWideError, TooManyCandidatesError: it asks for too much.
            QueueFullError, ShuttingDownError: it is not let in.
        """
        ticket = Ticket(request.deadline, request.group, request, self._check(request))
        self._intake.add(ticket)
        return ticket

    def explain(self, inputs: Mapping[str, Array], token_ids: list[list[int]]) -> NDArray[np.float32]:
        """Attention of known targets over one source: `[len(token_ids), target, …]`, target including EOS.

        The last axis is the source's tokens, or the regions of a picture.

        Raises:
            NoAttentionError: the architecture has none.
        """
        return self._explainer.explain(inputs, token_ids)

    def close(self, *, drain: bool = True, timeout: float = 30.0) -> None:
        """Take no more requests; finish the accepted ones (or drop them), then stop the loop."""
        self._intake.close([self._thread] if self._thread else [], drain=drain, timeout=timeout)

    def _check(self, request: GenerateRequest) -> dict[str, int]:
        widest = min(self.slots, self.bundle.manifest.vocabulary_size - 1)
        if request.search.beam_size > widest:
            raise BeamTooWideError(request.search.beam_size, widest)
        sampling, limits = request.search.sampling, self.bundle.manifest.limits
        if sampling is not None and self._most < min(sampling.top_k, self.bundle.manifest.vocabulary_size):
            raise TooManyCandidatesError(sampling.top_k, self._most)
        if request.start >= limits.of("target"):
            raise InputTooLongError(request.start + 1, limits.of("target"), "target")
        return check_limits(self._signature.inputs, request.inputs, limits)

    def _warm_up(self, row: dict[str, Array]) -> None:
        """Run a short request of each kind, so that the first caller does not pay for first-time work."""
        beam = min(4, self.slots, self.bundle.manifest.vocabulary_size - 1)
        for search in (Search(max_length=2), Search(beam_size=beam, max_length=2)):
            self.submit(GenerateRequest(row, search)).future.result()

    def _loop(self) -> None:
        while self._running or self._intake.wait():
            self._drop_unwanted()
            self._admit()
            if self._running:
                self._step()

    def _drop_unwanted(self) -> None:
        """Free the slots of requests that were cancelled, failed or ran out of time."""
        self._intake.drop_late(time.monotonic())
        if not self._intake.lost():
            return
        lost = [number for number, ticket in self._running.items() if ticket.future.done()]
        for number in lost:
            del self._running[number]
        if lost:
            self._batch.drop(lost)

    def _admit(self) -> None:
        """Encode newcomers and let them in, in order, while slots are free."""
        free = self._batch.free
        if not len(self._intake) or self._hold(free) or not free:
            return
        newcomers = self._intake.take(min(free, self._pace.rows), self._fitting)
        for encoded in self._newcomers.encode(newcomers):
            self._welcome(encoded)

    def _fitting(self, upcoming: list[Ticket]) -> list[Ticket]:
        """The first of them, as many as have slots; one that does not fit keeps those behind it waiting."""
        free = self._batch.free
        fitting = []
        for ticket in upcoming:
            free -= ticket.request.search.beam_size
            if free < 0:
                break
            fitting.append(ticket)
        return fitting

    def _hold(self, free: int) -> bool:
        """Whether newcomers that could join wait a step for company; none waits for more than `patience` steps."""
        upcoming = self._intake.upcoming(1)
        ready = min(len(self._intake), free // upcoming[0].request.search.beam_size) if upcoming else 0
        worthwhile = min(self.settings.encode_rows, self._pace.rows, -(-len(self._running) // 4))
        hold = 0 < ready < worthwhile and self._held < self.settings.patience
        self._held = self._held + 1 if hold else 0
        return hold

    def _welcome(self, encoded: Encoded) -> None:
        """Let in those who were encoded."""
        run = encoded.run
        self._pace.encoded(run.rows, run.seconds)
        self._observer.encoded(run.rows, encoded.cost, encoded.padding, run.seconds)
        requests = [ticket.request for ticket in encoded.tickets]
        members = [Member(r.search, r.on_tokens is not None, r.first_token, r.start) for r in requests]
        self._batch.join([ticket.number for ticket in encoded.tickets], members, encoded.values, encoded.sizes)
        for ticket in encoded.tickets:
            ticket.run = run
            self._running[ticket.number] = ticket
            self._fresh.append(ticket)
            self._observer.admitted(run.started - ticket.submitted)

    def _step(self) -> None:
        started = time.monotonic()
        rows = self._batch.live
        try:
            progress = self._batch.step()
        except Exception as error:  # noqa: BLE001 - a failed step leaves no row usable, but the loop must go on
            _LOG.exception("a step failed")
            self._batch.drop(list(self._running))
            failed = list(self._running.values())
            self._running.clear()
            for ticket in failed:
                self._intake.fail(ticket, EngineFailedError(f"step failed: {error}"))
            self._fresh.clear()
            return
        ended = time.monotonic()
        self._pace.stepped(ended - started)
        self._observer.stepped(rows, ended - started)
        for ticket in self._fresh:
            ticket.first_token = ended
            self._observer.first_token(ended - ticket.submitted)
        self._fresh.clear()
        for number, ids in progress.streamed:
            self._tell(self._running[number], ids)
        for number, member in progress.done:
            self._complete(self._running.pop(number), member, ended)

    def _tell(self, ticket: Ticket, ids: list[int]) -> None:
        """Hand on streamed ids; who cannot take them is on its own."""
        callback = ticket.request.on_tokens
        if callback is None or ticket.future.done():
            return
        try:
            callback(ids)
        except Exception as error:  # noqa: BLE001 - the loop must go on for the others
            self._intake.fail(ticket, EngineFailedError(f"on_tokens failed: {error}"))

    def _complete(self, ticket: Ticket, member: Member, ended: float) -> None:
        assert ticket.run is not None, "a row that runs was encoded"
        generation = Generation(
            hypotheses=member.hypotheses(),
            run=ticket.run,
            queue_seconds=ticket.run.started - ticket.submitted,
            first_token_seconds=ticket.first_token - ticket.submitted,
            total_seconds=ended - ticket.submitted,
            steps=member.steps,
        )
        if self._intake.finish(ticket, generation):
            self._observer.finished(generation)
