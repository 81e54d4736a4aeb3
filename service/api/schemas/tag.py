"""Bodies of the task tag."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.api.schemas.body import Body, Reply, Texts
from service.tasks.tag import Options, Tagging


class TagRequest(Body):
    """Texts to tag."""

    text: Texts = Field(
        min_length=1,
        description="where to find entities; one text or a list; a text is read sentence by sentence",
        examples=["Angela Merkel flew from Berlin to New York to speak at the United Nations."],
    )
    model: str | None = Field(None, description="name of a model; else the default", examples=["entities"])
    truncate: bool = Field(False, description="cut sentences beyond the model's limit instead of refusing them")

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(truncate=self.truncate)


class EntityReply(BaseModel):
    """A named entity: characters `start` to `end` (exclusive) of the text that was sent."""

    text: str = Field(examples=["Angela Merkel"])
    label: str = Field(examples=["PER"])
    start: int = Field(ge=0, examples=[0])
    end: int = Field(ge=0, examples=[13])
    score: float = Field(ge=0, le=1, description="mean probability of its words' tags", examples=[0.99])


class TaggingReply(BaseModel):
    """The entities of a text, in their order."""

    entities: list[EntityReply]
    truncated: bool | None = Field(None, description="true where a sentence was cut before it was read")


class TagReply(Reply):
    """Entities in the order of the texts."""

    predictions: list[TaggingReply]


def tagging_reply(found: Tagging) -> TaggingReply:
    """A text's entities as they are replied."""
    entities = [
        EntityReply(text=each.text, label=each.label, start=each.start, end=each.end, score=min(1.0, each.score))
        for each in found.entities
    ]
    return TaggingReply(entities=entities, truncated=found.truncated or None)
