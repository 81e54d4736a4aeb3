"""What tasks have in common whose model draws what it writes: how a request asks for it, and its seeds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TypeVar

from contract.inputs import Row
from contract.manifest import Manifest
from contract.manifest import Sampling as Defaults
from service.runtime.bundle import Bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.requests import GenerateRequest, Sampling, Search
from service.tasks.errors import BadOptionError
from service.tasks.limits import RequestLimits

SEEDS = 2**32
"""A seed is below it."""
HOTTEST = 5.0
"""Highest temperature: far below it already, models write nothing but noise."""

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True)
class SamplingOptions:
    """How to draw; None takes the bundle's default. A temperature of 0 takes the likeliest token each time.

    The same seed draws the same again, whatever else is running; one that is not given is drawn.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int = field(default_factory=lambda: secrets.randbelow(SEEDS))

    def __post_init__(self) -> None:
        """Here, since the seeds of a list begin anew after the last one.

        Raises:
            BadOptionError: there is no such seed.
        """
        if not 0 <= self.seed < SEEDS:
            raise BadOptionError(f"{self.seed} is not between 0 and {SEEDS - 1}", "seed")


def of_item(options: OptionsT, index: int) -> OptionsT:
    """The options of one item of a list: seeds count up, so that equal items do not become the same."""
    if not isinstance(options, SamplingOptions):
        return options
    return replace(options, seed=(options.seed + index) % SEEDS)


class Drawer:
    """What stands before and after a model that draws: the half of a task that does not depend on what it reads."""

    def __init__(self, bundle: Bundle, engine: DecodingEngine, limits: RequestLimits | None = None) -> None:
        self.engine = engine
        self._manifest = bundle.manifest
        self._limits = limits or RequestLimits()


@dataclass(frozen=True)
class Drawing:
    """An item's work: one row of the model, of which nothing is told beside what was drawn.

    `first_token` is the last of what the model goes on from, at position `start`.
    """

    inputs: Row
    first_token: int
    start: int
    search: Search
    seed: int

    @property
    def rows(self) -> int:
        """One."""
        return 1

    @property
    def explains(self) -> bool:
        """Never."""
        return False

    def requests(self, deadline: float | None, group: int) -> list[GenerateRequest]:
        """The row."""
        return [
            GenerateRequest(
                self.inputs,
                self.search,
                deadline,
                group=group,
                first_token=self.first_token,
                start=self.start,
            )
        ]


def draw(options: SamplingOptions, manifest: Manifest, max_length: int) -> Search:
    """The search that a request's options describe.

    Raises:
        BadOptionError: an option is out of its range, or asks for more tokens than the model knows.
    """
    defaults = manifest.decoding_defaults.sampling or Defaults()
    temperature = defaults.temperature if options.temperature is None else options.temperature
    top_k = defaults.top_k if options.top_k is None else options.top_k
    top_p = defaults.top_p if options.top_p is None else options.top_p
    if not 0 <= temperature <= HOTTEST:
        raise BadOptionError(f"{temperature:g} is not between 0 and {HOTTEST:g}", "temperature")
    if not 0 < top_p <= 1:
        raise BadOptionError(f"{top_p:g} is not above 0 and at most 1", "top_p")
    known = manifest.vocabulary_size
    if top_k < 1 or (options.top_k is not None and top_k > known):
        raise BadOptionError(f"{top_k} is not between 1 and the {known} tokens that this model knows", "top_k")
    if temperature == 0:
        return Search(max_length=max_length)
    sampling = Sampling(temperature=temperature, top_k=min(top_k, known), top_p=top_p, seed=options.seed)
    return Search(max_length=max_length, sampling=sampling)
