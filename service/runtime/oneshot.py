"""Dynamic batching of predict graphs: as soon as the device is free, rows that go well together run as a batch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from contract.signature import PredictSignature
from service.runtime.bundle import Bundle
from service.runtime.cutting import Bounds, Extent, Tariff, cut_batch
from service.runtime.errors import EngineFailedError, NoAttentionError
from service.runtime.intake import Admission, Intake
from service.runtime.limits import check_limits, sample_row
from service.runtime.predictor import Predictor
from service.runtime.requests import Array, Observer, Prediction, PredictRequest, Run
from service.runtime.session import InferenceSession, Provider

_LOG = logging.getLogger(__name__)
_WARM_UP_SIZE = 8
_MAX_ROWS: dict[Provider, int] = {"cpu": 16, "cuda": 256}
_MAX_COST: dict[Provider, int] = {"cpu": 1024, "cuda": 16384}


@dataclass(frozen=True)
class OneShotSettings:
    """Bounds of one engine.

    A batch has at most `max_rows` rows and costs at most `max_cost`: its rows times the sum over the inputs of the
    product of their padded axes, tokens as it were. None takes what suits the provider: on CPU what computes nearly as
    fast as anything larger and keeps newcomers waiting for less, on CUDA as much as fills it. Short rows go with short
    ones: a row joins a batch where the padding costs less than a run of its own, which costs as much as `run_rows` more
    rows of its length. Only the next `window` rows in turn are looked at, or `max_rows` where that is more.

    `workers` batches run at once, each on a thread of its own beside the process's pool.
    """

    max_queue: int = 1024
    max_rows: int | None = None
    max_cost: int | None = None
    run_rows: float = 2.0
    window: int = 128
    workers: int = 1

    def bounds(self, provider: Provider) -> Bounds:
        """Bounds of a batch on a provider."""
        return Bounds(self.max_rows or _MAX_ROWS[provider], self.max_cost or _MAX_COST[provider], self.run_rows)


@dataclass(eq=False)
class Ticket(Admission[Prediction]):
    """A submitted request, its size along each axis by name, and what it costs."""

    request: PredictRequest
    sizes: dict[str, int]
    extent: Extent


class OneShotEngine:
    """One one-shot model, its queue, and the threads that run its batches.

    Raises:
        TypeError: the bundle's model is not of the one-shot shape.
    """

    def __init__(
        self, bundle: Bundle, settings: OneShotSettings | None = None, observer: Observer | None = None
    ) -> None:
        signature = bundle.signature
        if not isinstance(signature, PredictSignature):
            raise TypeError(f"{bundle.folder}: a {signature.shape} model does not answer in a single pass")
        self.bundle = bundle
        self.settings = settings or OneShotSettings()
        self._observer = observer or Observer()
        self._signature = signature
        self._limits = bundle.manifest.limits
        self._tariff = Tariff(signature.inputs)
        self._bounds = self.settings.bounds(bundle.provider)
        self._window = max(self.settings.window, self._bounds.rows)
        self._intake: Intake[Ticket] = Intake(self.settings.max_queue, self._observer)
        self._predictor = Predictor(bundle.session("predict"), signature, self._limits, bundle.provider)
        self._threads: list[threading.Thread] = []

    @property
    def queue_depth(self) -> int:
        """Requests that wait for a batch."""
        return len(self._intake)

    @property
    def room(self) -> int:
        """Requests that would be let in now."""
        return self._intake.room

    @property
    def alive(self) -> bool:
        """Whether every worker runs. A fault of our own that ends one is never recovered from within."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Warm up and start the workers."""
        self._warm_up()
        name = self.bundle.manifest.name
        for number in range(self.settings.workers):
            thread = threading.Thread(target=self._loop, name=f"predict-{name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def submit(self, request: PredictRequest) -> Ticket:
        """Queue a request.

        Raises:
            InputTooLongError, QueueFullError, ShuttingDownError: at once, with the reason.
        """
        sizes = check_limits(self._signature.inputs, request.inputs, self._limits)
        ticket = Ticket(request.deadline, request.group, request, sizes, self._tariff.extent(sizes))
        self._intake.add(ticket)
        return ticket

    def explain(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Attention maps of one row, by name, without the rows axis. Blocking; its session opens when first asked for.

        Raises:
            NoAttentionError: the architecture has none.
            InputTooLongError: the row is longer than the model reads.
        """
        if not self._signature.explains:
            raise NoAttentionError(self.bundle.manifest.name)
        tensors, maps = self._signature.graph("explain")
        check_limits(tensors, inputs, self._limits)
        names = [tensor.name for tensor in maps]
        values = self._explaining.run(names, {t.name: np.asarray(inputs[t.name], t.dtype)[None] for t in tensors})
        return {name: value[0] for name, value in zip(names, values, strict=True)}

    def close(self, *, drain: bool = True, timeout: float = 30.0) -> None:
        """Take no more requests; finish the accepted ones (or drop them), then stop the workers."""
        self._intake.close(self._threads, drain=drain, timeout=timeout)

    @cached_property
    def _explaining(self) -> InferenceSession:
        return self.bundle.session("explain", prepack=False)

    def _warm_up(self) -> None:
        """Run batches of one row and of several, so that the first caller does not pay for first-time work.

        On CUDA the largest batch is among them, since the arena never shrinks: what it will need is taken now, or
        refused now.
        """
        inputs = self._signature.inputs
        small = sample_row(inputs, self._limits, _WARM_UP_SIZE)
        runs = [(small, 1), (small, min(4, self._bounds.rows))]
        if self.bundle.provider == "cuda":
            longest = sample_row(inputs, self._limits)
            affordable = self._bounds.cost // self._tariff.extent(check_limits(inputs, longest, self._limits)).cost
            runs.append((longest, max(1, min(affordable, self._bounds.rows))))
        for row, count in runs:
            self._predictor.run([row] * count, [check_limits(inputs, row, self._limits)] * count)

    def _loop(self) -> None:
        while self._intake.wait():
            self._intake.drop_late(time.monotonic())
            batch = self._intake.take(self._window, self._cut)
            if batch:
                self._predict(batch)

    def _cut(self, upcoming: Sequence[Ticket]) -> list[Ticket]:
        return [upcoming[i] for i in cut_batch([ticket.extent for ticket in upcoming], self._tariff, self._bounds)]

    def _predict(self, tickets: Sequence[Ticket]) -> None:
        """Run a batch; if it fails, each half of it, so that one bad row does not fail its neighbours."""
        started = time.monotonic()
        try:
            rows = self._predictor.run([t.request.inputs for t in tickets], [t.sizes for t in tickets])
        except Exception as error:  # noqa: BLE001 - whatever fails, the loop must go on for the others
            self._separate(tickets, error)
            return
        run = Run("predict", started, time.monotonic(), len(tickets))
        for ticket, outputs in zip(tickets, rows, strict=True):
            times = run.started - ticket.submitted, run.ended - ticket.submitted
            self._intake.finish(ticket, Prediction(outputs, run, *times))
        # Told when the results are on their way: nobody waits for the figures.
        for ticket in tickets:
            self._observer.admitted(started - ticket.submitted)
        cost = len(tickets) * self._tariff.padded(ticket.extent for ticket in tickets).cost
        filled = sum(ticket.extent.cost for ticket in tickets)
        self._observer.predicted(len(tickets), cost, 1.0 - filled / cost, run.seconds)

    def _separate(self, tickets: Sequence[Ticket], error: Exception) -> None:
        if len(tickets) == 1:
            self._intake.fail(tickets[0], EngineFailedError(f"predict failed: {error}"))
            return
        _LOG.warning("predicting %d rows failed, trying each half: %s", len(tickets), error)
        middle = len(tickets) // 2
        for half in (tickets[:middle], tickets[middle:]):
            if wanted := [ticket for ticket in half if not ticket.future.done()]:
                self._predict(wanted)
