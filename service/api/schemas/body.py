"""What request and reply bodies have in common."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.tasks.attention import SourceToken

# Empty texts are refused by the task, which says so better.
_SAYING_SOMETHING = {"type": "string", "pattern": r"\S"}
Text = Annotated[str, WithJsonSchema(_SAYING_SOMETHING)]
"""A text that holds something."""


class Body(BaseModel):
    """A body that means what it says."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def as_list(value: object) -> object:
    """One text or a list, as a list."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("text_type", "Input should be a text or a list of texts")


Texts = Annotated[
    list[str],
    BeforeValidator(as_list),
    WithJsonSchema({"anyOf": [_SAYING_SOMETHING, {"type": "array", "items": _SAYING_SOMETHING, "minItems": 1}]}),
]
"""One text or a list of texts, as a list."""


MemberT = TypeVar("MemberT")


def one_or_many(
    one: TypeAdapter[list[MemberT]], many: TypeAdapter[list[list[MemberT]]], complaint: str
) -> PlainValidator:
    """Reads a list or a list of lists as a list of lists; faults are told by their place in what was sent."""

    def read(value: Any) -> list[list[MemberT]]:
        if not isinstance(value, list):
            raise PydanticCustomError("nested_type", "{complaint}", {"complaint": complaint})
        if value and isinstance(value[0], list):
            return many.validate_python(value, strict=True)
        return [one.validate_python(value, strict=True)]

    return PlainValidator(read)


class Reply(BaseModel):
    """What every reply carries beside its list."""

    model: str = Field(description="name of the model")
    version: str = Field(description="version of the model", examples=["1.0.0"])


class SourceTokenReply(BaseModel):
    """A token of the source and where it stands, in characters of the text that was sent."""

    text: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)


def source_tokens_reply(tokens: list[SourceToken]) -> list[SourceTokenReply]:
    """Tokens as they are replied."""
    return [SourceTokenReply(text=token.text, start=token.start, end=token.end) for token in tokens]
