from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from export.results.pictures import draw_sheets, given
from models.registry import ConfigError

DATA = Path(__file__).resolve().parents[2] / "data"
PICTURE = DATA / "pictures" / "loose" / "shape12.jpg"
SIZE = 8


def client(models: list[dict[str, Any]], asked: list[tuple[str, int]]) -> httpx.Client:
    """Of a service that draws a square of one grey, as light as the seed says."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"models": models})
        body = json.loads(request.content)
        assert base64.b64decode(body["image"]) == PICTURE.read_bytes()
        asked.append((request.url.path, body["seed"]))
        file = io.BytesIO()
        Image.new("RGB", (SIZE, SIZE), (body["seed"],) * 3).save(file, "PNG")
        return httpx.Response(200, json={"pictures": [{"image": base64.b64encode(file.getvalue()).decode()}]})

    return httpx.Client(base_url="http://service", transport=httpx.MockTransport(answer))


def test_a_sheet_shows_the_picture_what_was_given_and_what_was_drawn(tmp_path: Path) -> None:
    drawing = {"size": SIZE, "fit": "squeeze"}
    models = [
        {"task": "complete-image", "default": True, "drawing": drawing},
        {"task": "upscale", "default": True, "drawing": drawing | {"source_size": 2}},
        {"task": "upscale", "default": False, "drawing": drawing | {"source_size": 2}},
        {"task": "translate", "default": True},
    ]
    asked: list[tuple[str, int]] = []
    sheets = list(draw_sheets([PICTURE, PICTURE], client(models, asked), tmp_path))
    assert sheets == [tmp_path / "complete-image.png", tmp_path / "upscale.png"]
    assert asked == [
        (f"/v1/{task}", seed) for task in ("complete-image", "upscale") for _ in range(2) for seed in (1, 2, 3)
    ]
    sheet = np.asarray(Image.open(sheets[1]))
    assert sheet.shape == (2 * 24 + 6, 5 * 24 + 4 * 6, 3)
    assert [int(sheet[0, 30 * place, 0]) for place in (2, 3, 4)] == [1, 2, 3]
    assert (sheet[24:30] == 255).all()


def test_what_was_given_is_shown_in_the_size_of_the_picture() -> None:
    picture = np.arange(SIZE * SIZE * 3, dtype=np.uint8).reshape(SIZE, SIZE, 3)
    half = given(picture, None)
    assert (half[: SIZE // 2] == picture[: SIZE // 2]).all()
    assert (half[SIZE // 2 :] == 128).all()
    shrunk = given(picture, picture[:2, :2])
    assert shrunk.shape == picture.shape
    assert (shrunk[0, 0] == picture[0, 0]).all()
    assert (shrunk[-1, -1] == picture[1, 1]).all()


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    models = [{"task": "complete-image", "default": True, "drawing": {"size": SIZE, "fit": "squeeze"}}]
    with pytest.raises(ConfigError, match=r"no\.jpg: .*"):
        list(draw_sheets([tmp_path / "no.jpg"], client(models, []), tmp_path))
