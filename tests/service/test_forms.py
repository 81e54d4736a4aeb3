"""Forms, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.errors import ProblemError
from service.api.forms import Part, is_form, read_form
from service.api.schemas.caption import CaptionRequest

BOUNDARY = "x-9"
TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'
NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\', categories=("L", "N", "Zs")), min_size=1)
# What looks like the form's own marks is content as long as no boundary stands in it.
CONTENTS = st.lists(st.sampled_from([b"\r\n", b"--", b"\r\n--", b"x-", b"\0", b"\xff\xd8", b"a: b"])).map(b"".join)
PARTS = st.lists(st.builds(Part, NAMES, CONTENTS | st.binary(), st.booleans()), max_size=6)


def compose(parts: list[Part]) -> bytes:
    lines = []
    for part in parts:
        file = '; filename="a.jpg"' if part.is_file else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part.name}"{file}\r\nX-Other: y\r\n\r\n'
        lines.append(head.encode() + part.content + b"\r\n")
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


@given(PARTS.filter(bool))
def test_the_parts_of_a_form_are_those_it_was_made_of(parts: list[Part]) -> None:
    assert read_form(compose(parts), TYPE) == parts


@given(PARTS.filter(bool), st.data())
def test_a_part_of_a_form_is_never_taken_for_the_whole(parts: list[Part], data: st.DataObject) -> None:
    content = compose(parts)
    # All that may be missing is the end of the line after the last boundary.
    cut = data.draw(st.integers(0, len(content) - 3))
    with pytest.raises(ProblemError) as caught:
        read_form(content[:cut], TYPE)
    assert caught.value.kind.slug == "invalid-form"


@given(st.binary(), st.sampled_from([TYPE, "multipart/form-data; boundary=", "multipart/form-data; boundary=\r\n"]))
def test_whatever_is_sent_it_is_a_form_or_refused(content: bytes, content_type: str) -> None:
    try:
        found = read_form(content, content_type)
    except ProblemError as refusal:
        found = refusal.kind.slug
    assert found == "invalid-form" or all(isinstance(part, Part) for part in found)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (TYPE, True),
        ("Multipart/Form-Data;boundary=x", True),
        ("multipart/form-data", True),
        ("multipart/mixed; boundary=x", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_forms_are_told_by_their_type(content_type: str, expected: bool) -> None:
    assert is_form(content_type) is expected


def test_a_form_says_what_json_says() -> None:
    parts = [
        Part("image", b"\xff\xd8", True),
        Part("image", b"/9g=", False),
        Part("model", b"7", False),
        Part("beam_size", b"3", False),
        Part("length_penalty", b"0.5", False),
        Part("explain", b"true", False),
    ]
    as_json = '{"image": ["/9g=", "/9g="], "model": "7", "beam_size": 3, "length_penalty": 0.5, "explain": true}'
    found = CaptionRequest.from_form(parts)
    assert found == CaptionRequest.model_validate_json(as_json)
    assert found.image == [b"\xff\xd8", b"\xff\xd8"]
