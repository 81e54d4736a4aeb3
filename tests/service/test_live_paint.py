"""Pictures that a real service process draws, with real bundles."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from contract.images import read_pixels
from tests.contract.pictures import draw, save
from tests.service.live import figure
from tests.service.paint_fakes import picture_of
from tests.service.replies import COMPLETE_IMAGE, GENERATE, UPSCALE, as_base64, send_pictures

DRAWN = Path(__file__).resolve().parents[1] / "data" / "pictures" / "loose"
PICTURES = [*[path.read_bytes() for path in sorted(DRAWN.glob("*.jpg"))][:3], save(draw(90, 70), "PNG")]


async def paint(live_client: httpx.AsyncClient, path: str, *pictures: bytes, **options: Any) -> list[dict[str, Any]]:
    response = await live_client.post(path, json={"image": [as_base64(each) for each in pictures], **options})
    assert response.status_code == 200, response.text
    return list(response.json()["pictures"])


async def drawing(live_client: httpx.AsyncClient, task: str) -> dict[str, Any]:
    models = (await live_client.get("/v1/models")).json()["models"]
    return next(dict(each["drawing"]) for each in models if each["task"] == task)


async def test_the_upper_rows_are_kept_and_the_lower_ones_drawn(live_client: httpx.AsyncClient) -> None:
    drawn = await drawing(live_client, "complete-image")
    size, fit = drawn["size"], drawn["fit"]
    for rows in (None, 0, size - 1):
        options = {} if rows is None else {"rows": rows}
        found = await paint(live_client, COMPLETE_IMAGE, *PICTURES, seed=5, **options)
        kept = size // 2 if rows is None else rows
        for place, (picture, sent) in enumerate(zip(found, PICTURES, strict=True)):
            pixels = picture_of(picture)
            assert pixels.shape == (size, size, 3)
            np.testing.assert_array_equal(pixels[:kept], read_pixels(sent, size, fit)[:kept])
            assert (picture["seed"], picture["size"]) == (5 + place, size)
            assert picture["score"] < 0


@pytest.mark.parametrize("path", [COMPLETE_IMAGE, UPSCALE])
async def test_a_seed_draws_the_same_picture_whatever_else_is_running(
    live_client: httpx.AsyncClient, path: str
) -> None:
    alone = [(await paint(live_client, path, picture, seed=place))[0] for place, picture in enumerate(PICTURES)]
    others = [
        live_client.post(GENERATE, json={"prompt": ["K:C\n"] * 4}),
        live_client.post(UPSCALE, json={"image": as_base64(PICTURES[0])}),
    ]
    together, *_ = await asyncio.gather(paint(live_client, path, *PICTURES, seed=0), *others)
    assert together == alone
    (other,) = await paint(live_client, path, PICTURES[0], seed=99)
    assert other["image"] != alone[0]["image"]


async def test_the_likeliest_picture_needs_no_seed(live_client: httpx.AsyncClient) -> None:
    found = [(await paint(live_client, UPSCALE, PICTURES[0], temperature=0))[0]["image"] for _ in range(2)]
    assert found[0] == found[1]


async def test_a_form_gets_the_same_reply_and_all_is_counted(live_client: httpx.AsyncClient) -> None:
    before = await figure(live_client, "seqserve_tokens_total")
    as_form = await send_pictures(live_client, UPSCALE, PICTURES[0], seed="3", temperature="0.5")
    assert as_form.json()["pictures"] == await paint(live_client, UPSCALE, PICTURES[0], seed=3, temperature=0.5)
    size = (await drawing(live_client, "upscale"))["size"]
    assert await figure(live_client, "seqserve_tokens_total") - before >= 2 * 3 * size**2
