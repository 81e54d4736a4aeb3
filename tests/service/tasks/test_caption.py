"""What stands before and after a model that captions, without a model and without a server."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.images import View, read_pixels
from service.runtime.errors import NoAttentionError
from service.tasks.caption import Caption, Captioner, Options
from service.tasks.errors import BadOptionError, BeamLimitError, PictureError, PictureTooLongError
from service.tasks.limits import RequestLimits
from service.tasks.overlay import COLUMNS, MOST_WORDS, PANEL, draw_overlay, spread
from service.tasks.regions import RegionMap, region_map, spelt_words
from tests.service.caption_fakes import COLOURS, GRID, REGIONS, SIZE, FakeCaptionEngine, make_captioner, plain
from tests.service.fakes import SENTENCES, make_codec
from tests.service.tasks.asking import answer

CODEC = make_codec()


@pytest.fixture
def captioner(caption_engine: FakeCaptionEngine) -> Captioner:
    return make_captioner(caption_engine).task


@pytest.mark.parametrize(("colour", "sentence"), list(zip(COLOURS, SENTENCES, strict=True)))
def test_a_picture_is_described(captioner: Captioner, colour: str, sentence: str) -> None:
    found: Caption = answer(captioner, plain(colour), Options())
    assert (found.best.text, found.best.score, found.alternatives, found.unfinished) == (sentence, -0.5, [], False)
    assert found.view == View(60, 40, (0, 0, 60, 40))
    assert found.best.attention is None


def test_the_model_reads_what_training_read(caption_engine: FakeCaptionEngine) -> None:
    photo = Image.effect_mandelbrot((90, 60), (-3, -2.5, 2, 2.5), 100).convert("RGB")
    file = io.BytesIO()
    photo.save(file, "JPEG")
    for fit in ("squeeze", "crop"):
        captioner = make_captioner(caption_engine, fit=fit).task
        (request,) = captioner.read(file.getvalue(), Options(), "image").requests(None, 0)
        assert list(request.inputs) == ["pixels"]
        assert np.array_equal(request.inputs["pixels"], read_pixels(file.getvalue(), SIZE, fit))


def test_options_become_the_engine_s_request(captioner: Captioner) -> None:
    work = captioner.read(plain("red"), Options(beam_size=3, length_penalty=0.5, max_length=7, alternatives=1), "image")
    assert (work.size, work.rows, work.explains) == (REGIONS, 1, False)
    (request,) = work.requests(12.5, 9)
    search = request.search
    assert (request.deadline, request.group) == (12.5, 9)
    assert (search.beam_size, search.length_penalty, search.max_length, search.alternatives) == (3, 0.5, 7, 2)


def test_else_a_caption_may_be_as_long_as_the_model_can_write(captioner: Captioner) -> None:
    (request,) = captioner.read(plain("red"), Options(), "image").requests(None, 0)
    assert (request.search.max_length, request.search.beam_size) == (40, 2)


def test_a_caption_that_was_cut_off_is_unfinished(captioner: Captioner) -> None:
    found = answer(captioner, plain("red"), Options(max_length=2, alternatives=1))
    assert found.unfinished
    assert len(found.best.text) < len(SENTENCES[1])
    assert found.best.text.startswith(found.alternatives[0].text)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"a text", "not a picture"), (plain("red")[:60], "broken")]
)
def test_what_is_no_picture_is_refused_by_its_field(captioner: Captioner, content: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message) as caught:
        captioner.read(content, Options(), "image.3")
    assert (caught.value.field, caught.value.reason) == ("image.3", "invalid-image")


def test_a_file_that_is_too_long_is_not_looked_at(caption_engine: FakeCaptionEngine) -> None:
    captioner = make_captioner(caption_engine, limits=RequestLimits(image_bytes=100)).task
    with pytest.raises(PictureTooLongError, match="101 bytes, the limit is 100: send it smaller") as caught:
        captioner.read(bytes(101), Options(), "image")
    assert (caught.value.field, caught.value.reason) == ("image", "body-too-large")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (Options(beam_size=2, alternatives=2), BadOptionError),
        (Options(beam_size=17), BeamLimitError),
        (Options(max_length=41), BadOptionError),
    ],
)
def test_options_that_do_not_fit_are_refused(captioner: Captioner, options: Options, error: type[Exception]) -> None:
    with pytest.raises(error):
        captioner.read(plain("red"), options, "image")


def test_a_model_without_attention_does_not_explain(caption_engine: FakeCaptionEngine) -> None:
    blind = make_captioner(caption_engine, "blind", attention=False).task
    assert not blind.explains
    with pytest.raises(NoAttentionError, match="'blind' has no attention"):
        blind.read(plain("red"), Options(explain=True), "image")


def test_an_explanation_has_a_map_for_each_word(caption_engine: FakeCaptionEngine) -> None:
    captioner = make_captioner(caption_engine, fit="crop").task
    found = answer(captioner, plain("lime"), Options(explain=True, alternatives=1))
    assert found.view == View(60, 40, (10, 0, 50, 40))
    for rendering in (found.best, *found.alternatives):
        attention = rendering.attention
        assert " ".join(attention.targets) == rendering.text
        assert attention.weights.shape == (len(attention.targets), *GRID)
        assert np.allclose(attention.weights.sum(axis=(1, 2)), 1)


def test_of_a_word_s_tokens_the_mean_is_taken() -> None:
    ids = CODEC.encode("A man is riding").ids
    words = spelt_words(CODEC, ids)
    assert [word for word, _, _ in words] == ["A", "man", "is", "riding"]
    assert [first for _, first, _ in words] == [0, *(last for _, _, last in words[:-1])]
    assert words[-1][2] == len(ids)
    weights = np.random.default_rng(1).random((len(ids) + 3, REGIONS), dtype=np.float32)
    found = region_map(CODEC, ids, weights, GRID)
    for (_, first, last), each in zip(words, found.weights, strict=True):
        assert np.allclose(each, weights[first:last].mean(axis=0).reshape(GRID))


def test_a_caption_without_words_has_no_map() -> None:
    found = region_map(CODEC, [], np.ones((1, REGIONS), np.float32), GRID)
    assert (found.targets, found.weights.shape, found.lists) == ([], (0, *GRID), [])


@given(st.lists(st.integers(4, 149), max_size=12))
def test_whatever_is_written_its_words_are_its_text(ids: list[int]) -> None:
    words = spelt_words(CODEC, ids)
    assert [place for _, first, last in words for place in range(first, last)] == list(range(len(ids)))
    assert "".join(word for word, _, _ in words) == "".join(CODEC.decode(ids).split())


def drawn(content: bytes, view: View, weights: np.ndarray, words: list[str]) -> Image.Image:
    image = Image.open(io.BytesIO(draw_overlay(content, view, RegionMap(words, weights.astype(np.float32)))))
    assert image.format == "PNG"
    return image


def test_an_overlay_is_bright_where_the_model_looked() -> None:
    weights = np.zeros((2, *GRID))
    weights[0, 0, 0] = weights[1, 1, 2] = 1
    sheet = drawn(plain("white", 120, 80), View(120, 80, (0, 0, 120, 80)), weights, ["first", "last"])
    assert sheet.size == (8 + 3 * 248, 8 + 32 + 160 + 8)
    original, first, last = (
        np.asarray(sheet.crop((x, 40, x + PANEL, 200)), float).mean(axis=-1) for x in (8, 256, 504)
    )
    assert original.min() == 255
    assert (first[:40, :40].mean(), first[-40:, -40:].mean()) == (pytest.approx(255, abs=20), pytest.approx(51, abs=3))
    assert (last[-40:, -40:].mean(), last[:40, :40].mean()) == (pytest.approx(255, abs=20), pytest.approx(51, abs=3))
    labels = [np.asarray(sheet.crop((x, 8, x + PANEL, 40))).min() for x in (8, 256, 504)]
    assert labels[0] == 255
    assert max(labels[1:]) < 60


def test_what_was_cropped_away_stays_dim() -> None:
    sheet = drawn(plain("white", 120, 60), View(120, 60, (30, 0, 90, 60)), np.full((1, 2, 2), 0.25), ["word"])
    panel = np.asarray(sheet.crop((256, 40, 256 + PANEL, 160)), float).mean(axis=-1)
    assert np.unique(panel[:, :59]).tolist() == np.unique(panel[:, 181:]).tolist() == [51]
    assert panel[:, 61:179].min() > 250


def test_a_map_is_smooth_and_full_where_it_is_highest() -> None:
    levels = np.asarray(spread(np.array([[0, 0], [0, 1]], np.float32), 80, 60), int)
    assert levels.shape == (60, 80)
    assert levels.max() == 255
    assert np.abs(np.diff(levels, axis=1)).max() < 20
    assert np.unique(np.asarray(spread(np.full((7, 7), 1 / 49, np.float32), 30, 30))).tolist() == [255]
    assert np.array_equal(spread(np.array([[0.2, 0.2], [0.2, 0.4]], np.float32), 80, 60), levels)


@pytest.mark.parametrize("words", [0, 1, 7, MOST_WORDS + 30])
@pytest.mark.parametrize(("width", "height"), [(8, 8), (8000, 8), (8, 3000)])
def test_an_overlay_s_size_is_bounded(width: int, height: int, words: int) -> None:
    weights = np.ones((words, 7, 7)) / 49
    content = plain("white", width, height)
    sheet = drawn(content, View(width, height, (0, 0, width, height)), weights, ["w" * 50] * words)
    panels = 1 + min(words, MOST_WORDS)
    assert sheet.width <= 8 + min(COLUMNS, panels) * (PANEL + 8)
    assert sheet.height <= 8 + -(-panels // COLUMNS) * (PANEL + 40)
