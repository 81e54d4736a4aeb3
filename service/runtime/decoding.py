"""Continuous batching of encode and step graphs: requests join and leave the running loop at every step."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.signature import GenerateSignature, Tensor
from service.runtime.batch import Batch, Member, hypotheses
from service.runtime.bundle import Bundle
from service.runtime.device import create_storage
from service.runtime.errors import (
    BeamTooWideError,
    DeadlineExceededError,
    EngineFailedError,
    InputTooLongError,
    QueueFullError,
    ShuttingDownError,
)
from service.runtime.explain import Explainer
from service.runtime.requests import Array, GenerateRequest, Generation, Observer, Search
from service.runtime.slots import Slots, bytes_per_slot
from service.runtime.stepper import Encoder, Stepper

_LOG = logging.getLogger(__name__)
_SAMPLING_K = 256
_SLOTS = {"cpu": 32, "cuda": 256}


@dataclass(frozen=True)
class EngineSettings:
    """Bounds of one engine.

    `slots` None takes what suits the provider: on CPU as many rows as the cores' caches hold the state of, on CUDA as
    many as fill it. `memory_budget` (bytes) caps the slots where the model's rows are large. Between two steps at most
    `max_encode_rows` newcomers are encoded, `encode_rows` of similar length at a time; while rows are running,
    newcomers wait for each other up to `patience` steps, since encoding one alone costs half as much again.
    """

    slots: int | None = None
    memory_budget: int = 2 << 30
    max_queue: int = 1024
    max_encode_rows: int = 32
    encode_rows: int = 8
    patience: int = 3


@dataclass(eq=False)
class Ticket:
    """A submitted request. `future.cancel()` or `cancel()` drops it, freeing its slots at the next step."""

    number: int
    request: GenerateRequest
    future: Future[Generation] = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)
    admitted: float = 0.0
    first_token: float = 0.0

    def cancel(self) -> None:
        """Drop the request if it is not done yet."""
        self.future.cancel()


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
        limits = {"source": manifest.limits.of("source"), "target": manifest.limits.of("target")}
        affordable = self.settings.memory_budget // max(bytes_per_slot(signature, limits), 1)
        self.slots = int(max(1, min(self.settings.slots or _SLOTS[bundle.provider], affordable)))
        slots = Slots(signature, self.slots, limits, create_storage(bundle.provider))
        max_k = min(manifest.vocabulary_size, max(_SAMPLING_K, 2 * self.slots))
        stepper = Stepper(bundle.session("step"), slots, bundle.provider, max_k)
        self._encoder = Encoder(bundle.session("encode"), signature, bundle.provider)
        self._batch = Batch(slots, stepper, manifest.special_ids, manifest.limits, manifest.vocabulary_size)
        self._explainer = Explainer(bundle)
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._queue: deque[Ticket] = deque()
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self._cancelled: deque[Ticket] = deque()
        self._running: dict[int, Ticket] = {}
        self._fresh: list[Ticket] = []
        self._refused: list[Ticket] = []
        self._held = 0
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def queue_depth(self) -> int:
        """Requests waiting for slots."""
        return len(self._queue)

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
        self._thread = threading.Thread(target=self._loop, name=f"decoding-{self.bundle.manifest.name}", daemon=True)
        self._thread.start()
        self._warm_up()

    def submit(self, request: GenerateRequest) -> Ticket:
        """Queue a request.

        Raises:
            InputTooLongError, BeamTooWideError, QueueFullError, ShuttingDownError: at once, with the reason.
        """
        self._check(request)
        ticket = Ticket(next(self._numbers), request)
        ticket.future.add_done_callback(lambda future: self._note_cancelled(ticket) if future.cancelled() else None)
        with self._wake:
            if self._closing:
                raise ShuttingDownError
            if len(self._queue) >= self.settings.max_queue:
                self._observer.dropped(QueueFullError.reason)
                raise QueueFullError(self.settings.max_queue)
            self._queue.append(ticket)
            if request.deadline is not None:
                heapq.heappush(self._deadlines, (request.deadline, ticket.number, ticket))
            self._observer.queued(len(self._queue))
            self._wake.notify()
        return ticket

    def explain(self, inputs: Mapping[str, Array], token_ids: list[list[int]]) -> NDArray[np.float32]:
        """Attention of known targets over one source: `[len(token_ids), target, source]`, target including EOS.

        Raises:
            NoAttentionError: the architecture has none.
        """
        return self._explainer.explain(inputs, token_ids)

    def close(self, *, drain: bool = True, timeout: float = 30.0) -> None:
        """Take no more requests; finish the accepted ones (or drop them), then stop the loop."""
        with self._wake:
            self._closing = True
            tickets = [*self._queue, *self._running.values()]
            self._wake.notify()
        if not drain:
            for ticket in tickets:
                ticket.cancel()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                for ticket in tickets:
                    self._fail(ticket, ShuttingDownError())

    def _check(self, request: GenerateRequest) -> None:
        widest = min(self.slots, self.bundle.manifest.vocabulary_size - 1)
        if request.search.beam_size > widest:
            raise BeamTooWideError(request.search.beam_size, widest)
        for tensor in self._signature.inputs:
            for axis, size in zip(tensor.axes[1:], request.inputs[tensor.name].shape, strict=True):
                if axis == "source" and size > self.bundle.manifest.limits.of("source"):
                    raise InputTooLongError(size, self.bundle.manifest.limits.of("source"), axis)

    def _warm_up(self) -> None:
        """Run a short request of each kind, so that the first caller does not pay for first-time work."""
        length = min(8, self.bundle.manifest.limits.of("source"))
        inputs: dict[str, Array] = {
            "source_ids": np.full(length, self.bundle.manifest.special_ids.unk, dtype=np.int64),
            "source_lengths": np.asarray(length, dtype=np.int64),
        }
        beam = min(4, self.slots, self.bundle.manifest.vocabulary_size - 1)
        for search in (Search(max_length=2), Search(beam_size=beam, max_length=2)):
            self.submit(GenerateRequest(inputs, search)).future.result()

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not (self._queue or self._running or self._cancelled or self._closing):
                    self._wake.wait()
                if self._closing and not (self._queue or self._running):
                    return
            self._drop_unwanted()
            self._admit()
            if self._running:
                self._step()

    def _drop_unwanted(self) -> None:
        """Forget cancelled requests and fail those past their deadline, wherever they are."""
        now = time.monotonic()
        unwanted: list[Ticket] = []
        with self._wake:
            while self._cancelled:
                unwanted.append(self._cancelled.popleft())
                # Without this, whoever waits for several futures never hears of the cancelled ones.
                unwanted[-1].future.set_running_or_notify_cancel()
            unwanted += self._refused
            self._refused.clear()
            while self._deadlines and self._deadlines[0][0] <= now:
                ticket = heapq.heappop(self._deadlines)[2]
                if self._fail(ticket, DeadlineExceededError()):
                    unwanted.append(ticket)
        live = [ticket.number for ticket in unwanted if self._running.pop(ticket.number, None)]
        if live:
            self._batch.drop(live)

    def _admit(self) -> None:
        """Encode newcomers and let them in, in order, while slots are free."""
        newcomers: list[Ticket] = []
        free = self._batch.free
        if self._hold(free):
            return
        with self._wake:
            while self._queue and len(newcomers) < self.settings.max_encode_rows:
                if self._queue[0].future.done():
                    self._queue.popleft()
                    continue
                free -= self._queue[0].request.search.beam_size
                if free < 0:
                    break
                newcomers.append(self._queue.popleft())
            depth = len(self._queue)
        if not newcomers:
            return
        self._observer.queued(depth)
        # Short beside short: padding costs more than small batches do.
        newcomers.sort(key=self._length)
        for start in range(0, len(newcomers), self.settings.encode_rows):
            self._try_encoding(newcomers[start : start + self.settings.encode_rows])

    def _hold(self, free: int) -> bool:
        """Whether newcomers that could join wait a step for company; none waits for more than `patience` steps."""
        ready = min(len(self._queue), free // self._queue[0].request.search.beam_size) if self._queue else 0
        worthwhile = min(self.settings.encode_rows, -(-len(self._running) // 4))
        hold = 0 < ready < worthwhile and self._held < self.settings.patience
        self._held = self._held + 1 if hold else 0
        return hold

    def _try_encoding(self, newcomers: list[Ticket]) -> None:
        """Encode a batch; if it fails, each of it alone, so that one bad input does not fail its neighbours."""
        try:
            self._encode(newcomers)
        except Exception as error:  # noqa: BLE001 - whatever fails, the loop must go on for the others
            if len(newcomers) == 1:
                self._fail(newcomers[0], EngineFailedError(f"encode failed: {error}"))
                return
            _LOG.warning("encoding %d requests failed, trying each alone", len(newcomers))
            for ticket in newcomers:
                self._try_encoding([ticket])

    def _length(self, ticket: Ticket) -> int:
        """Length of a request along the source axis; 1 for a model without one."""
        for tensor in self._signature.inputs:
            if "source" in tensor.axes:
                return int(ticket.request.inputs[tensor.name].shape[tensor.axes.index("source") - 1])
        return 1

    def _encode(self, tickets: list[Ticket]) -> None:
        started = time.monotonic()
        inputs = {tensor.name: _pad(tensor, tickets) for tensor in self._signature.inputs}
        values = self._encoder.run(inputs)
        lengths = np.array([self._length(ticket) for ticket in tickets])
        members = [Member(t.request.search, streaming=t.request.on_tokens is not None) for t in tickets]
        self._batch.join([ticket.number for ticket in tickets], members, values, lengths)
        ended = time.monotonic()
        cost = len(tickets) * int(lengths.max())
        self._observer.encoded(len(tickets), cost, 1.0 - float(lengths.sum()) / cost, ended - started)
        for ticket in tickets:
            ticket.admitted = started
            self._running[ticket.number] = ticket
            self._fresh.append(ticket)
            self._observer.admitted(started - ticket.submitted)

    def _step(self) -> None:
        started = time.monotonic()
        rows = self._batch.live
        try:
            progress = self._batch.step()
        except Exception as error:  # noqa: BLE001 - a failed step leaves no row usable, but the loop must go on
            _LOG.exception("a step failed")
            self._batch.drop(list(self._running))
            for ticket in self._running.values():
                self._fail(ticket, EngineFailedError(f"step failed: {error}"))
            self._running.clear()
            self._fresh.clear()
            return
        ended = time.monotonic()
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
            self._fail(ticket, EngineFailedError(f"on_tokens failed: {error}"))
            self._refused.append(ticket)

    def _complete(self, ticket: Ticket, member: Member, ended: float) -> None:
        generation = Generation(
            hypotheses=hypotheses(member),
            queue_seconds=ticket.admitted - ticket.submitted,
            first_token_seconds=ticket.first_token - ticket.submitted,
            total_seconds=ended - ticket.submitted,
            steps=member.steps,
        )
        if _settle(ticket.future, lambda future: future.set_result(generation)):
            self._observer.finished(generation)

    def _fail(self, ticket: Ticket, error: Exception) -> bool:
        settled = _settle(ticket.future, lambda future: future.set_exception(error))
        if settled:
            self._observer.dropped(getattr(error, "reason", "engine-failed"))
        return settled

    def _note_cancelled(self, ticket: Ticket) -> None:
        with self._wake:
            self._cancelled.append(ticket)
            self._wake.notify()
        self._observer.dropped("cancelled")


def _settle(future: Future[Generation], settle: Callable[[Future[Generation]], None]) -> bool:
    """Settle a future unless somebody else has: a client may cancel at any moment."""
    try:
        settle(future)
    except InvalidStateError:
        return False
    return True


def _pad(tensor: Tensor, tickets: list[Ticket]) -> NDArray[Any]:
    """One batch of an input, padded with zeros to its longest row along each axis."""
    rows = [ticket.request.inputs[tensor.name] for ticket in tickets]
    shape = tuple(max(sizes) for sizes in zip(*(row.shape for row in rows), strict=True))
    batch = np.zeros((len(rows), *shape), dtype=np.dtype(tensor.dtype))
    for target, row in zip(batch, rows, strict=True) if shape else ():
        target[tuple(slice(size) for size in row.shape)] = row
    if not shape:
        batch[:] = rows
    return batch
