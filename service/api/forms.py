"""Forms (RFC 7578) as lists of parts. What they hold is in memory already, bounded by the gate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.errors import ProblemError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# What is wrong with a form is told to who sent it, not to the log.
logging.getLogger("python_multipart.multipart").setLevel(logging.ERROR)

MEDIA_TYPE = "multipart/form-data"
MOST_PARTS = 1_000


class Part(NamedTuple):
    """A field of a form; `is_file` where it came with the name of a file."""

    name: str
    content: bytes
    is_file: bool


def is_form(content_type: str) -> bool:
    """Whether a body is sent as a form with parts."""
    return content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def read_form(content: bytes, content_type: str) -> list[Part]:
    """The parts of a form, in order.

    Raises:
        ProblemError: it is not one, or not whole, or has too many parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _invalid("the Content-Type names no boundary: let the HTTP library set it")
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise _invalid(f"the form cannot be read ({error}): let an HTTP library compose it") from None
    if not reader.whole:
        raise _invalid("the form ends before its last boundary: send all of it")
    return reader.parts


def _invalid(detail: str) -> ProblemError:
    return ProblemError("invalid-form", detail)


class _Reader:
    """What the parser tells, put together."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.whole = False
        self._header, self._value, self._disposition = b"", b"", b""
        self._content: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_header,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_to_content,
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    def _begin(self) -> None:
        if len(self.parts) == MOST_PARTS:
            raise _invalid(f"the form has more than {MOST_PARTS} parts: send fewer at a time")
        self._disposition, self._content = b"", []

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _add_to_content(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            number = len(self.parts) + 1
            raise _invalid(f"part {number} of the form has no name: give it one in its Content-Disposition")
        name = options[b"name"].decode("utf-8", "replace")
        self.parts.append(Part(name, b"".join(self._content), b"filename" in options))

    def _end_form(self) -> None:
        self.whole = True
