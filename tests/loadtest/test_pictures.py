"""Pictures that are sent: all different, as large as photographs, and wrapped as forms are."""

from __future__ import annotations

import io
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loadtest.pictures import NoPicturesError, load_pictures, make_photograph, multipart


def test_made_up_photographs_are_as_large_as_real_ones() -> None:
    content = make_photograph(1)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (640, 480))
        pixels = np.asarray(image, dtype=float)
    assert 40_000 < len(content) < 120_000
    assert 40 < pixels.std() < 80
    # Neighbours are alike and distant pixels are not, as in photographs.
    assert np.abs(np.diff(pixels, axis=1)).mean() < 0.2 * np.abs(pixels[:, 320:] - pixels[:, :320]).mean()
    assert make_photograph(1) == content
    assert make_photograph(2) != content


def test_pictures_of_a_folder_come_by_name_over_and_over(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    assert load_pictures(3, tmp_path) == [b"a.jpg", b"b.png", b"a.jpg"]
    with pytest.raises(NoPicturesError, match=r"holds no pictures: it should have files that end in \.jpg"):
        load_pictures(1, tmp_path / "nowhere")


def test_forms_are_what_a_mail_parser_takes_them_for() -> None:
    pictures = [b"\xff\xd8\r\n--", b"second"]
    content_type, body = multipart("image", pictures, beam_size=1)
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = list(message.iter_parts())
    names = [part["Content-Disposition"].params["name"] for part in parts]
    assert names == ["beam_size", "image", "image"]
    assert [part.get_payload(decode=True) for part in parts] == [b"1", *pictures]
    assert [part.get_filename() for part in parts] == [None, "photo.jpg", "photo.jpg"]
