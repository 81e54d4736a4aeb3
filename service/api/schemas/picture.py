"""Pictures in request bodies."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError, from_json

from service.api.errors import ProblemError
from service.api.forms import Part
from service.api.schemas.body import Body

FIELD = "image"
IMAGE = (
    "a JPEG, PNG, WebP or GIF file (of an animation, the first frame): in JSON as base64, plain or as a data URL; in a "
    "form as a file; addresses are never fetched"
)
"""What the field takes."""
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,", re.ASCII)
_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_SPACES = str.maketrans("", "", " \t\r\n")
_BASE64 = {"type": "string", "format": "byte", "contentEncoding": "base64"}


def _decode(value: object) -> bytes:
    """A picture as a form's file, or as text in base64, plain or as a data URL."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("picture_type", "Input should be one picture, in base64")
    start = _DATA_URL.match(value)
    if start is None and _URL.match(value):
        raise PydanticCustomError("picture_url", "URLs are never fetched: send the content of the picture file")
    try:
        return binascii.a2b_base64(value[start.end() if start else 0 :].translate(_SPACES), strict_mode=True)
    except ValueError as error:
        message = "Input should be a picture in base64, or a file where the body is a form ({reason})"
        raise PydanticCustomError("picture_base64", message, {"reason": str(error)}) from None


def _as_list(value: object) -> object:
    if isinstance(value, str | bytes):
        # What is wrong with it is told of the field, not of a place in a list that was not sent.
        return [_decode(value)]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("pictures_type", "Input should be a picture or a list of pictures, in base64")


Picture = Annotated[bytes, PlainValidator(_decode), WithJsonSchema(_BASE64)]
"""A picture file."""
Pictures = Annotated[
    list[Picture],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [_BASE64, {"type": "array", "items": _BASE64, "minItems": 1}]}),
]
"""One picture file or a list of them, as a list."""


class PictureBody(Body):
    """A body with a field `image` that holds a picture or several, and is sent as JSON or as a form."""

    @classmethod
    def from_form(cls, parts: Sequence[Part]) -> Self:
        """The body that a form's parts spell. Numbers and switches are written as in JSON.

        Raises:
            pydantic.ValidationError: they do not fit.
            ProblemError: a field other than the pictures stands twice.
        """
        pictures: list[bytes | str] = []
        fields: dict[str, Any] = {}
        for part in parts:
            if part.name == FIELD:
                pictures.append(part.content if part.is_file else _text(part))
                continue
            if part.name in fields:
                detail = f"{part.name}: sent more than once, where only {FIELD} may be: send it once"
                raise ProblemError("invalid-request", detail, part.name)
            if part.is_file:
                raise ProblemError("invalid-request", f"{part.name}: sent as a file: send its value", part.name)
            fields[part.name] = _text(part) if part.name == "model" else _value(_text(part))
        if pictures:
            fields[FIELD] = pictures[0] if len(pictures) == 1 else pictures
        return cls.model_validate(fields)


def _text(part: Part) -> str:
    try:
        return part.content.decode()
    except UnicodeDecodeError:
        raise ProblemError("invalid-request", f"{part.name}: not UTF-8: send text, or a file", part.name) from None


def _value(text: str) -> object:
    """What a text says in JSON; what says nothing there is a text, and told so. A field without a value is left out."""
    try:
        value = from_json(text)
    except ValueError:
        return text
    return text if value is None else value
