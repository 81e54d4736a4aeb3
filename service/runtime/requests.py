"""What goes into an engine and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray
from pydantic import Field

from contract import manifest

Array = NDArray[Any]
Result = TypeVar("Result")


class Sampling(manifest.Sampling):
    """How a request's tokens are drawn; the same seed draws the same ones."""

    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Search:
    """How one request is decoded.

    `beam_size` 1 is greedy (or sampling when `sampling` is set). `length_penalty` is the exponent of the length that
    divides the sum of log-probabilities. `max_length` counts what is written, a prompt left out. `alternatives` is how
    many hypotheses are returned, best first.
    """

    beam_size: int = 1
    length_penalty: float = 1.0
    max_length: int = 64
    alternatives: int = 1
    sampling: Sampling | None = None

    def __post_init__(self) -> None:
        """Refuse what no search can give."""
        if min(self.beam_size, self.max_length, self.alternatives) < 1:
            raise ValueError(f"beam_size, max_length and alternatives are at least 1, got {self}")
        if self.alternatives > self.beam_size:
            raise ValueError(f"{self.alternatives} alternatives need a beam of as many, not {self.beam_size}")
        if self.sampling is not None and self.beam_size > 1:
            raise ValueError("sampling goes with beam_size 1")


@dataclass(frozen=True)
class GenerateRequest:
    """One input row of a generate model.

    `inputs` holds each encode input of this row without the rows axis. The first step reads `first_token` (None: BOS)
    at position `start`: behind a prompt, that is its last token. `deadline` is a `time.monotonic()` instant.
    `on_tokens` is called on the engine's thread with the ids that are newly certain: every hypothesis that can still
    win starts with all ids given so far. `group` is that of a `PredictRequest`.
    """

    inputs: dict[str, Array]
    search: Search = field(default_factory=Search)
    deadline: float | None = None
    on_tokens: Callable[[list[int]], None] | None = None
    group: int = 0
    first_token: int | None = None
    start: int = 0


@dataclass(frozen=True)
class Hypothesis:
    """One decoded sequence without prompt, BOS and EOS. `score` is the sum of log-probabilities over length^penalty."""

    token_ids: list[int]
    score: float
    log_probability: float
    finished: bool
    """False where the length limit cut it off."""


@dataclass(frozen=True)
class Run:
    """One run of a graph over a batch: its `time.monotonic()` instants, and the rows of all requests in it."""

    graph: str
    started: float
    ended: float
    rows: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


@dataclass(frozen=True)
class Generation:
    """The result of one request: hypotheses, best first, and where its time went, in seconds.

    It waited until its `run`, which encoded it.
    """

    hypotheses: list[Hypothesis]
    run: Run
    queue_seconds: float
    first_token_seconds: float
    total_seconds: float
    steps: int


@dataclass(frozen=True)
class PredictRequest:
    """One input row of a one-shot model.

    `inputs` holds each input of this row without the rows axis; a scalar such as `k` is this row's own value.
    `deadline` is a `time.monotonic()` instant. Groups take turns: the items of a list share one, so that a long list
    does not keep others waiting. Each request of group 0 is a group of its own.
    """

    inputs: dict[str, Array]
    deadline: float | None = None
    group: int = 0


@dataclass(frozen=True)
class Prediction:
    """The result of one request: outputs without the rows axis, cut to the row's own sizes; and its times in seconds.

    It waited until its `run`, which answered it.
    """

    outputs: dict[str, Array]
    run: Run
    queue_seconds: float
    total_seconds: float


class Ticket(Protocol[Result]):
    """A submitted request: its future result, which `cancel()` drops."""

    @property
    def future(self) -> Future[Result]: ...

    def cancel(self) -> None: ...


class Observer:
    """Where an engine reports what it does; a service overrides what it counts. Called on the engine's threads."""

    def queued(self, depth: int) -> None:
        """So many requests are waiting."""

    def admitted(self, queue_seconds: float) -> None:
        """A request is worked on, after waiting so long."""

    def encoded(self, rows: int, cost: int, padding: float, seconds: float) -> None:
        """A batch was encoded: `cost` is rows × longest (pictures count 1), `padding` the share of it that is empty."""

    def stepped(self, rows: int, seconds: float) -> None:
        """The live rows took a step."""

    def first_token(self, seconds: float) -> None:
        """A request has its first token, so long after it was submitted."""

    def finished(self, generation: Generation) -> None:
        """A generation is done."""

    def predicted(self, rows: int, cost: int, padding: float, seconds: float) -> None:
        """A one-shot batch is done: `cost` is rows × padded sizes, `padding` the share of it that is empty."""

    def dropped(self, reason: str) -> None:
        """A request was refused, cancelled or failed."""
