"""Bodies of the task recommend."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, GetCoreSchemaHandler, Strict, TypeAdapter, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from contract.items import ItemId
from service.api.schemas.body import Body, Reply, one_or_many
from service.tasks.recommend import Options, Recommendation, SessionMap

MOST_ITEMS = 100
"""Largest `top_k`."""


class _OneComplaint:
    """A union's members each complain of what is none of them; said once, it is understood."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), "item_id_type", custom_error_message="Input should be an item id: a text or an integer"
        )


Item = Annotated[Annotated[str, Strict()] | Annotated[int, Strict()], _OneComplaint]
"""An item, as the catalogue names it."""
_ID = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
_SESSION = {"type": "array", "items": _ID}
Sessions = Annotated[
    list[list[ItemId]],
    one_or_many(
        TypeAdapter(list[Item]),
        TypeAdapter(list[list[Item]]),
        "Input should be a session (a list of item ids) or a list of sessions",
    ),
    WithJsonSchema({"anyOf": [_SESSION, {"type": "array", "items": _SESSION, "minItems": 1}]}),
]
"""One session or a list of sessions, as a list."""


class RecommendRequest(Body):
    """Sessions to go on with. Items are named exactly as the catalogue has them: the text "7" is not the number 7."""

    session: Sessions = Field(
        description="items in the order they were looked at, the last one last; one session or a list of sessions",
        examples=[[9654, 33043, 32118]],
    )
    model: str | None = Field(None, description="name of a model; else the default", examples=["next-item"])
    top_k: int = Field(Options.top_k, ge=1, le=MOST_ITEMS, description="how many items to return")
    exclude_seen: bool = Field(False, description="leave out the items of the session itself")
    candidates: list[Item] | None = Field(None, min_length=1, description="recommend these items only")
    exclude: list[Item] | None = Field(None, description="never recommend these items")
    explain: bool = Field(False, description="add an attention map")

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(
            top_k=self.top_k,
            exclude_seen=self.exclude_seen,
            candidates=None if self.candidates is None else tuple(self.candidates),
            exclude=tuple(self.exclude or ()),
            explain=self.explain,
        )


class ItemReply(BaseModel):
    """An item that may come next."""

    item: ItemId = Field(examples=[33043])
    score: float | None = Field(
        None,
        description="the model's score, which ranks the items of one session; none for popular items",
        examples=[9.1],
    )


class PlaceReply(BaseModel):
    """An item of the session, and its place in it, counted from 0."""

    item: ItemId
    position: int = Field(ge=0)


class SessionMapReply(BaseModel):
    """What the model looked at: a weight for each of `sources`."""

    axes: list[str] = Field(examples=[["items"]])
    sources: list[PlaceReply]
    weights: list[float]


class RecommendationReply(BaseModel):
    """What may come next in a session, best first; fewer than `top_k` where filters leave no more."""

    items: list[ItemReply]
    unknown: list[ItemId] = Field(description="items of the session that the catalogue does not have; they are skipped")
    fallback: bool = Field(description="true where no item of the session was known, so that these are popular ones")
    truncated: bool | None = Field(None, description="true where only the last items of a long session were read")
    attention: SessionMapReply | None = Field(None, description="with explain: what the model looked at")


class RecommendReply(Reply):
    """Recommendations in the order of the sessions."""

    recommendations: list[RecommendationReply]


def recommendation_reply(found: Recommendation) -> RecommendationReply:
    """A recommendation as it is replied; what is not there is left out."""
    return RecommendationReply(
        items=[ItemReply(item=each.item, score=each.score) for each in found.items],
        unknown=found.unknown,
        fallback=found.fallback,
        truncated=found.truncated or None,
        attention=None if found.attention is None else _map(found.attention),
    )


def _map(found: SessionMap) -> SessionMapReply:
    sources = [PlaceReply(item=i, position=p) for i, p in zip(found.items, found.positions, strict=True)]
    return SessionMapReply(axes=["items"], sources=sources, weights=found.weights)
