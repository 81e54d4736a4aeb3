"""Completion and upscaling over HTTP, through ASGI, over engines without a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from contract.images import read_pixels
from service.settings import Settings
from tests.contract.pictures import draw, save
from tests.service.paint_fakes import SIZE, SOURCE_SIZE, FakePaintingEngine, make_completer, make_upscaler, picture_of
from tests.service.replies import COMPLETE_IMAGE, UPSCALE, as_base64, check_problem, send_pictures
from tests.service.serving import served

PICTURE = save(draw(90, 70), "PNG")
PIXELS = read_pixels(PICTURE, SIZE, "squeeze")


@pytest.fixture
def engine() -> Iterator[FakePaintingEngine]:
    engine = FakePaintingEngine()
    yield engine
    engine.close(drain=False)


@pytest.fixture
async def client(engine: FakePaintingEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a model of each of the two tasks."""
    async with served((make_completer(engine), make_upscaler(engine)), Settings(max_images=3)) as client:
        yield client


async def test_the_lower_part_of_pictures_is_drawn(client: httpx.AsyncClient) -> None:
    body = {"image": [as_base64(PICTURE)] * 2, "rows": 4, "seed": 200}
    reply = (await client.post(COMPLETE_IMAGE, json=body)).json()
    assert (reply["model"], reply["version"]) == ("painter", "1.2")
    for number, picture in enumerate(reply["pictures"]):
        pixels = picture_of(picture)
        np.testing.assert_array_equal(pixels[:4], PIXELS[:4])
        assert (pixels[4:] == 200 + number).all()
        assert {name: picture[name] for name in ("seed", "score", "size")} == {
            "seed": 200 + number,
            "score": -0.5,
            "size": SIZE,
        }


async def test_a_form_gets_the_same_reply(client: httpx.AsyncClient) -> None:
    for path, fields in ((COMPLETE_IMAGE, {"seed": 9, "rows": 2}), (UPSCALE, {"seed": 9})):
        as_json = await client.post(path, json={"image": as_base64(PICTURE), **fields})
        as_form = await send_pictures(client, path, PICTURE, **{name: str(value) for name, value in fields.items()})
        assert as_form.status_code == 200
        assert as_form.json() == as_json.json()


async def test_pictures_are_drawn_anew(client: httpx.AsyncClient) -> None:
    reply = (await client.post(UPSCALE, json={"image": as_base64(PICTURE), "seed": 31})).json()
    (picture,) = reply["pictures"]
    assert reply["model"] == "sharpener"
    assert picture_of(picture).shape == (SIZE, SIZE, 3)
    assert (picture_of(picture) == 31).all()


async def test_a_seed_that_is_drawn_is_told(client: httpx.AsyncClient, engine: FakePaintingEngine) -> None:
    (picture,) = (await client.post(UPSCALE, json={"image": as_base64(PICTURE)})).json()["pictures"]
    assert picture["seed"] == engine.seen[0].search.sampling.seed
    assert (picture_of(picture) == picture["seed"] % 256).all()


@pytest.mark.parametrize("path", [COMPLETE_IMAGE, UPSCALE])
@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({}, "invalid-request", "image"),
        ({"image": "no base64!"}, "invalid-request", "image"),
        ({"image": as_base64(b"no picture at all")}, "invalid-image", "image"),
        ({"image": [as_base64(PICTURE), as_base64(b"none")]}, "invalid-image", "image.1"),
        ({"image": [as_base64(PICTURE)] * 4}, "invalid-request", "image"),
        ({"image": as_base64(PICTURE), "temperature": 9}, "invalid-request", "temperature"),
        ({"image": as_base64(PICTURE), "top_k": 999}, "invalid-request", "top_k"),
        ({"image": as_base64(PICTURE), "seed": -3}, "invalid-request", "seed"),
        ({"image": as_base64(PICTURE), "beam_size": 3}, "invalid-request", "beam_size"),
        ({"image": as_base64(PICTURE), "model": "nobody"}, "unknown-model", "model"),
        ({"image": as_base64(PICTURE), "rows": 99}, "invalid-request", "rows"),
    ],
)
async def test_refusals_say_what_to_change(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], slug: str, field: str
) -> None:
    check_problem(await client.post(path, json=body), slug, field)


async def test_models_tell_what_they_draw(client: httpx.AsyncClient) -> None:
    models = (await client.get("/v1/models")).json()["models"]
    assert {each["name"]: each["task"] for each in models} == {"painter": "complete-image", "sharpener": "upscale"}
    square = {"size": SIZE, "fit": "squeeze"}
    assert [each["drawing"] for each in models] == [square, {**square, "source_size": SOURCE_SIZE}]
