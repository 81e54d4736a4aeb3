"""Recommendation: item ids → indices → one row of the model → the best items of the catalogue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from contract.inputs import EXCLUDE, ONLY, items_row, session_row
from contract.items import Catalogue, ItemId
from contract.preprocessing import ItemPreprocessing
from contract.signature import PredictSignature
from service.runtime.bundle import Bundle
from service.runtime.errors import NoAttentionError
from service.runtime.oneshot import OneShotEngine
from service.runtime.requests import Prediction, PredictRequest
from service.tasks.attention import as_lists
from service.tasks.errors import BadOptionError
from service.tasks.limits import RequestLimits


@dataclass(frozen=True)
class Options:
    """What to recommend: the `top_k` best of `candidates`, or else of the catalogue, without those of `exclude`.

    With `exclude_seen`, items of the session itself are left out too. Ids that the catalogue does not have mean nothing
    in either list.
    """

    top_k: int = 20
    exclude_seen: bool = False
    candidates: tuple[ItemId, ...] | None = None
    exclude: tuple[ItemId, ...] = ()
    explain: bool = False


@dataclass(frozen=True)
class ScoredItem:
    """An item and the model's score for it, which ranks items of one session; None for an item that is just popular."""

    item: ItemId
    score: float | None


@dataclass(frozen=True)
class SessionMap:
    """What the model looked at: a weight for each item that it read, which stood at `positions` of the session."""

    items: list[ItemId]
    positions: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Recommendation:
    """Items, best first; fewer than asked for where filters leave no more.

    `unknown`: what the catalogue does not have, each once. `fallback`: nothing of the session was known, so these are
    popular items. `truncated`: only the last items of a long session were read.
    """

    items: list[ScoredItem]
    unknown: list[ItemId]
    fallback: bool
    truncated: bool
    attention: SessionMap | None = None


@dataclass(frozen=True)
class Filter:
    """Indices that may not be recommended, or, with `only`, the only ones that may."""

    indices: frozenset[int]
    only: bool

    def allows(self, index: int) -> bool:
        """Whether an item may be recommended."""
        return (index in self.indices) == self.only

    @property
    def hopeless(self) -> bool:
        """Whether no item at all may be recommended."""
        return self.only and not self.indices

    @property
    def mode(self) -> int:
        """The model's name for what the indices mean."""
        return ONLY if self.only else EXCLUDE


class Recommender:
    """What stands before and after the model of one bundle."""

    def __init__(self, bundle: Bundle, engine: OneShotEngine, limits: RequestLimits | None = None) -> None:
        self.engine = engine
        self._manifest = bundle.manifest
        preprocessing, signature = self._manifest.preprocessing, self._manifest.signature
        assert isinstance(preprocessing, ItemPreprocessing)
        assert isinstance(signature, PredictSignature)
        self.catalogue = Catalogue.load(bundle.folder / preprocessing.catalogue)
        self.attention = signature.attention
        bounds = self._manifest.limits
        self._longest, self._most_filters = bounds.of("items"), bounds.of("filters")
        self._most_wanted = min(bounds.of("k"), len(self.catalogue.ids))

    def read(self, session: list[ItemId], options: Options, field: str) -> Session:
        """A session as the work that it is. `field` names it in errors.

        Raises:
            NoAttentionError: an explanation of a model without attention.
            BadOptionError: more items wanted, or more to filter, than the model's limit.
        """
        if options.explain and not self.attention:
            raise NoAttentionError(self._manifest.name)
        index = self.catalogue.index
        found = [(position, known) for position, item in enumerate(session) if (known := index(item)) is not None]
        unknown = [item for item in session if index(item) is None] if len(found) < len(session) else []
        return Session(
            recommender=self,
            session=session,
            positions=[position for position, _ in found[-self._longest :]],
            indices=[known for _, known in found[-self._longest :]],
            unknown=list(dict.fromkeys(unknown)),
            filter=self._filter(options, frozenset(known for _, known in found)),
            truncated=len(found) > self._longest,
            options=options,
        )

    def wanted(self, options: Options) -> int:
        """How many items are asked of the model."""
        return min(options.top_k, self._most_wanted)

    def popular(self, wanted: Filter) -> list[int]:
        """Indices that may be recommended to anybody, the most popular first."""
        if not wanted.only:
            return [index for index in self.catalogue.popular if wanted.allows(index)]
        return sorted(wanted.indices, key=lambda index: self._popularity.get(index, len(self._popularity)))

    @cached_property
    def _popularity(self) -> dict[int, int]:
        return {index: rank for rank, index in enumerate(self.catalogue.popular)}

    def _filter(self, options: Options, seen: frozenset[int]) -> Filter:
        excluded = self._known(options.exclude)
        if options.exclude_seen:
            excluded |= seen
        if options.candidates is None:
            wanted, field = Filter(excluded, only=False), "exclude" if options.exclude else "exclude_seen"
        else:
            wanted, field = Filter(self._known(options.candidates) - excluded, only=True), "candidates"
        if len(wanted.indices) > self._most_filters:
            detail = f"{len(wanted.indices)} items to filter by, the limit is {self._most_filters}: name fewer"
            raise BadOptionError(detail, field)
        return wanted

    def _known(self, items: tuple[ItemId, ...]) -> frozenset[int]:
        return frozenset(index for item in items if (index := self.catalogue.index(item)) is not None)


@dataclass(frozen=True)
class Session:
    """A session's work: the items that the model reads, and how the answer is to be told.

    A session that holds none, or of which nothing may be recommended, takes no row.
    """

    recommender: Recommender
    session: list[ItemId]
    positions: list[int]
    indices: list[int]
    unknown: list[ItemId]
    filter: Filter
    truncated: bool
    options: Options

    @property
    def size(self) -> int:
        """Items that the model reads."""
        return len(self.indices)

    @property
    def rows(self) -> int:
        """One, or none."""
        return int(bool(self.indices) and not self.filter.hopeless)

    @property
    def explains(self) -> bool:
        """Whether attention is wanted, and there is something to look at."""
        return self.options.explain and self.rows > 0

    def requests(self, deadline: float | None, group: int) -> list[PredictRequest]:
        """The row, where there is one."""
        if not self.rows:
            return []
        wanted = self.recommender.wanted(self.options)
        inputs = session_row(self.indices, sorted(self.filter.indices), self.filter.mode, wanted)
        return [PredictRequest(inputs, deadline, group)]

    def result(self, outcomes: list[Prediction]) -> Recommendation:
        """The items, and with `explains` what the model looked at."""
        items = self._items(outcomes[0]) if outcomes else self._popular_items()
        attention = self._attention() if self.explains else None
        return Recommendation(items, self.unknown, not self.indices, self.truncated, attention)

    def _items(self, outcome: Prediction) -> list[ScoredItem]:
        item = self.recommender.catalogue.item
        candidates, scores = outcome.outputs["candidates"].tolist(), outcome.outputs["scores"].tolist()
        # What is filtered out scores -inf, and so stands last.
        return [
            ScoredItem(item(index), score)
            for index, score in zip(candidates, scores, strict=True)
            if score != -math.inf
        ]

    def _popular_items(self) -> list[ScoredItem]:
        if self.filter.hopeless:
            return []
        recommender = self.recommender
        popular = recommender.popular(self.filter)[: self.options.top_k]
        return [ScoredItem(recommender.catalogue.item(index), None) for index in popular]

    def _attention(self) -> SessionMap:
        (declared,) = self.recommender.attention
        weights = self.recommender.engine.explain(items_row(self.indices))[declared.name]
        items = [self.session[position] for position in self.positions]
        return SessionMap(items, self.positions, as_lists(weights))
