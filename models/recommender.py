"""The base of session-based recommenders: a table of items, a reading of the session, the best of the catalogue."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from contract.inputs import ONLY
from contract.signature import CANDIDATES, SCORES, Attention, K, PredictSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Predictor, Tensors
from models.layers.dropout import Dropout
from models.layers.exportable import top_k
from models.registry import ArchitectureConfig

ITEM_IDS = TensorSpec(name="item_ids", dtype="int64", axes=("rows", "items"))
ITEM_COUNTS = TensorSpec(name="item_counts", dtype="int64", axes=("rows",))
FILTER_IDS = TensorSpec(name="filter_ids", dtype="int64", axes=("rows", "filters"))
FILTER_MODE = TensorSpec(name="filter_mode", dtype="int64", axes=("rows",))

FORBIDDEN = float("-inf")


class RecommenderConfig(ArchitectureConfig):
    """What all recommenders share.

    With `normalise`, items and sessions are compared by `scale` · cosine instead of by their product, so that popular
    items do not win by the length of their vectors (Gupta et al. 2019, "NISER", sections 3 and 4).
    """

    item_count: int = Field(ge=2, description="rows of the item table: the catalogue and the dummy item 0")
    hidden_size: int = Field(default=128, ge=1)
    embedding_dropout: float = Field(default=0.2, ge=0, lt=1)
    normalise: bool = True
    scale: float = Field(default=16.0, gt=0)


class Recommender(Predictor):
    """Reads the items of a session in order and scores every item of the catalogue as the next.

    A subclass turns item vectors into session vectors. Session and items are compared in one space, so one table both
    embeds and scores (Press and Wolf 2017). Item 0 is a dummy: it pads sessions and filters, and is never recommended.
    """

    config: RecommenderConfig
    attention: Attention | None = None
    """The map of the `explain` graph; None where a subclass has no attention."""

    def __init__(self, config: RecommenderConfig) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Embedding(config.item_count, config.hidden_size)
        self.embedding_dropout = Dropout(config.embedding_dropout)
        nn.init.normal_(self.items.weight, std=config.hidden_size**-0.5)

    @property
    def signature(self) -> PredictSignature:
        return PredictSignature(
            inputs=(ITEM_IDS, ITEM_COUNTS, FILTER_IDS, FILTER_MODE, K),
            outputs=(CANDIDATES, SCORES),
            attention=(self.attention,) if self.attention else (),
            explained=(ITEM_IDS.name, ITEM_COUNTS.name) if self.attention else (),
        )

    @abstractmethod
    def read(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        """Session vectors after each item: `[rows, items, hidden]`, `[rows]` → `[rows, items, hidden]`.

        Position t sees the items 0 … t alone; what stands behind a row's last item means nothing.
        """

    @abstractmethod
    def read_last(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        """The session vector after the last item: `[rows, items, hidden]`, `[rows]` → `[rows, hidden]`.

        The same numbers as those of `read` at the last position.
        """

    def table(self) -> Tensor:
        """Vectors of all items as they are compared, `[item_count, hidden]`."""
        return self._unit(self.items.weight)

    def vectors(self, ids: Tensor) -> Tensor:
        """Rows of the table: `ids […]` → `[…, hidden]`."""
        return self._unit(self.items(ids))

    def represent(self, item_ids: Tensor, item_counts: Tensor, table: Tensor) -> Tensor:
        """What to multiply by the table after each item: `[rows, items]`, `[rows]` → `[rows, items, hidden]`.

        `item_ids` are rows of the table, which may hold no more items than those at hand.
        """
        return self._comparable(self.read(self.embed(item_ids, table), item_counts))

    def scores(self, inputs: Tensors) -> Tensor:
        """Scores of the whole catalogue after each session, `[rows, item_count]`; nothing is filtered."""
        table = self.table()
        last = self.read_last(self.embed(inputs["item_ids"], table), inputs["item_counts"])
        return F.linear(self._comparable(last), table)

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        """The `k` best items and their scores: logits (`scale` · cosine with `normalise`), or -inf where filtered."""
        scores = filtered(self.scores(inputs), inputs["filter_ids"], inputs["filter_mode"])
        best, candidates = top_k(scores, inputs["k"])
        return {"candidates": candidates, "scores": best}

    def embed(self, item_ids: Tensor, table: Tensor) -> Tensor:
        """Item vectors `[rows, items, hidden]`, with dropout while training."""
        vectors: Tensor = self.embedding_dropout(F.embedding(item_ids, table))
        return vectors

    def _comparable(self, session: Tensor) -> Tensor:
        return self.config.scale * self._unit(session) if self.config.normalise else session

    def _unit(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.config.normalise else vectors


def filtered(scores: Tensor, filter_ids: Tensor, filter_mode: Tensor) -> Tensor:
    """Scores with -inf where an item may not be recommended.

    Args:
        scores: `[rows, item_count]`.
        filter_ids: `[rows, filters]`, padded with the dummy 0.
        filter_mode: `[rows]`, 0: not these items; 1: these items only.

    Returns:
        `[rows, item_count]`, the dummy item always at -inf.
    """
    only = filter_mode.eq(ONLY).unsqueeze(1)
    named = torch.where(only & filter_ids.ne(0), scores.gather(1, filter_ids), FORBIDDEN)
    dummy = torch.zeros_like(filter_ids[:, :1])
    # The padding of filters writes -inf to the dummy as well; where there are no filters at all, this column does.
    places = torch.cat([filter_ids, dummy], dim=1)
    values = torch.cat([named, torch.full_like(scores[:, :1], FORBIDDEN)], dim=1)
    # Adding costs a third of choosing: this passes over the whole catalogue.
    return (scores + torch.where(only, FORBIDDEN, 0.0)).scatter(1, places, values)


def last_position(x: Tensor, counts: Tensor) -> Tensor:
    """`x [rows, time, size]` at the last of the first `counts [rows]` positions → `[rows, size]`."""
    places = (counts.clamp_min(1) - 1)[:, None, None].expand(-1, 1, x.shape[2])
    return x.gather(1, places).squeeze(1)
