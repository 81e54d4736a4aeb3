"""Pictures → the engine's requests → pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contract.images import read_pixels
from contract.pixels import BOS_ID, pixel_tokens
from contract.preprocessing import CHANNELS
from service.tasks.errors import BadOptionError, PictureError, PictureTooLongError, TaskRefusalError
from service.tasks.limits import RequestLimits
from service.tasks.paint import Completer, CompletionOptions, Upscaler
from service.tasks.sampling import SamplingOptions
from tests.contract.pictures import draw, save
from tests.service.paint_fakes import SIZE, SOURCE_SIZE, FakePaintingEngine, make_completer, make_upscaler
from tests.service.tasks.asking import answer

ENGINE = FakePaintingEngine()
LIMITS = RequestLimits(image_bytes=20_000)
COMPLETER: Completer = make_completer(ENGINE, LIMITS).task
UPSCALER: Upscaler = make_upscaler(ENGINE, LIMITS).task
PICTURE = save(draw(90, 70), "PNG")
PIXELS = read_pixels(PICTURE, SIZE, "squeeze")
ROW = CHANNELS * SIZE


@pytest.mark.parametrize("rows", [None, 0, 1, SIZE - 1])
def test_what_is_kept_of_a_picture_is_the_prompt(rows: int | None) -> None:
    count = SIZE // 2 if rows is None else rows
    work = COMPLETER.read(PICTURE, CompletionOptions(rows=rows, seed=5), "image")
    (request,) = work.requests(None, 0)
    ids = [BOS_ID, *pixel_tokens(PIXELS[:count])]
    assert (request.first_token, request.start) == (ids[-1], count * ROW)
    assert request.inputs["prompt_lengths"] == count * ROW
    assert request.inputs["prompt_ids"].tolist() == (ids[:-1] or [0])
    assert request.search.max_length == (SIZE - count) * ROW
    assert request.search.sampling is not None
    assert (request.search.sampling.temperature, request.search.sampling.seed) == (0.9, 5)


def test_the_rest_is_drawn_below_what_is_kept() -> None:
    found = answer(COMPLETER, PICTURE, CompletionOptions(rows=5, seed=77))
    np.testing.assert_array_equal(found.pixels[:5], PIXELS[:5])
    assert (found.pixels[5:] == 77).all()
    assert (found.pixels.shape, found.seed, found.score) == ((SIZE, SIZE, 3), 77, -0.5)


def test_the_likeliest_is_not_drawn() -> None:
    (request,) = COMPLETER.read(PICTURE, CompletionOptions(temperature=0.0), "image").requests(None, 0)
    assert request.search.sampling is None


def test_a_picture_is_drawn_anew_from_a_few_of_its_pixels() -> None:
    work = UPSCALER.read(PICTURE, SamplingOptions(seed=3), "image")
    (request,) = work.requests(None, 0)
    np.testing.assert_array_equal(request.inputs["pixels"], read_pixels(PICTURE, SOURCE_SIZE, "squeeze"))
    assert (request.first_token, request.start, request.search.max_length) == (BOS_ID, 0, SIZE * ROW)
    assert work.size == CHANNELS * SOURCE_SIZE**2
    assert (answer(UPSCALER, PICTURE, SamplingOptions(seed=3)).pixels == 3).all()


@pytest.mark.parametrize(
    ("content", "options", "error", "field", "message"),
    [
        (PICTURE, {"rows": SIZE}, BadOptionError, "rows", "16 is not between 0 and 15, of 16 rows in all"),
        (PICTURE, {"rows": -1}, BadOptionError, "rows", "-1 is not between"),
        (PICTURE, {"top_k": 257}, BadOptionError, "top_k", "257 is not between 1 and the 256 tokens"),
        (b"no picture", {}, PictureError, "image", "JPEG"),
        (PICTURE + bytes(20_000), {}, PictureTooLongError, "image", "the limit is 20000"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    content: bytes, options: dict[str, Any], error: type[TaskRefusalError], field: str, message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        COMPLETER.read(content, CompletionOptions(**options), "image")
    assert caught.value.field == field
