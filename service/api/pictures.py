"""Routes that take pictures: in JSON as base64, or as the files of a form."""

from __future__ import annotations

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.errors import check_content_type, from_validation
from service.api.forms import MEDIA_TYPE, is_form, read_form
from service.api.gate import context_of
from service.api.route import StrictRoute
from service.api.schemas.picture import PictureBody
from service.api.threads import PICTURES
from service.settings import Settings

_INLINE_BYTES = 1 << 17
"""Up to so many, a body is taken apart in less time than it takes to hand it to a thread and back: 40 µs a form."""


class PictureRoute(StrictRoute):
    """A route whose body is a `PictureBody`. Long ones are taken apart on threads."""

    def longest_body(self, settings: Settings) -> int:
        """Longest body that is taken, in bytes."""
        return settings.max_upload_bytes

    async def read(self, content: bytes, request: Request) -> BaseModel:
        """The body as a model.

        Raises:
            ProblemError: it is not what the endpoint takes.
        """
        content_type = request.headers.get("content-type", "")
        if not is_form(content_type):
            check_content_type(content_type, f"application/json or {MEDIA_TYPE}")
        if len(content) <= _INLINE_BYTES:
            return self._parse(content, content_type)
        return await PICTURES.run(lambda: self._parse(content, content_type), context_of(request.scope).deadline)

    def _parse(self, content: bytes, content_type: str) -> BaseModel:
        assert issubclass(self.model, PictureBody)
        try:
            if is_form(content_type):
                return self.model.from_form(read_form(content, content_type))
            return self.model.model_validate_json(content)
        except ValidationError as error:
            raise from_validation(error) from error
