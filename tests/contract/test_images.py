"""Pictures as models read them: every kind of file, upright, on white, in their right colours."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFile

from contract.images import MIN_SIDE, Fit, View, fit_pixels, read_image, read_pixels, see, view
from tests.contract.pictures import FORMATS, HEIGHT, WIDTH, difference, draw, fitted, save, segment

SIZE = 32
PICTURE = draw()
EXPECTED = fitted(PICTURE, SIZE)
# What a format's own coding of the picture costs, of 255: mean absolute difference.
LOSS = {"JPEG": 3, "PNG": 0.5, "WEBP": 6, "GIF": 5}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_picture(form: str) -> None:
    pixels = read_pixels(save(PICTURE, form), SIZE, "squeeze")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (SIZE, SIZE, 3))
    assert difference(pixels, EXPECTED) < LOSS[form]


def test_a_progressive_jpeg_is_a_jpeg() -> None:
    plain, progressive = (save(PICTURE, "JPEG", quality=90, progressive=each) for each in (False, True))
    assert progressive.count(b"\xff\xda") > 1
    assert np.array_equal(read_pixels(progressive, SIZE, "squeeze"), read_pixels(plain, SIZE, "squeeze"))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF"])
def test_of_an_animation_the_first_frame_is_read(form: str) -> None:
    others = [Image.new("RGB", PICTURE.size, colour) for colour in ("black", "white")]
    animation = save(PICTURE, form, save_all=True, append_images=others)
    assert difference(read_pixels(animation, SIZE, "squeeze"), EXPECTED) < LOSS[form]


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_what_is_transparent_shows_white(form: str) -> None:
    alpha = np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
    clear = PICTURE.copy()
    clear.putalpha(Image.fromarray(alpha))
    expected = EXPECTED * (share := fitted(Image.fromarray(alpha), SIZE) / 255) + 255 * (1 - share)
    assert difference(read_pixels(save(clear, form, lossless=True), SIZE, "squeeze"), expected) < 2


def test_grey_with_alpha_is_on_white_too() -> None:
    clear = Image.merge("LA", (Image.new("L", (WIDTH, HEIGHT), 0), Image.new("L", (WIDTH, HEIGHT), 51)))
    assert np.unique(read_pixels(save(clear, "PNG"), SIZE, "squeeze")).tolist() == [204]


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_palette_s_transparent_colour_shows_white(form: str) -> None:
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[:, WIDTH // 2 :] = 1
    image = Image.fromarray(indices)
    image.putpalette([200, 0, 0, 0, 0, 200])
    left, right = np.split(read_pixels(save(image, form, transparency=1), SIZE, "squeeze"), 2, axis=1)
    assert left[:, :-3].reshape(-1, 3).max(0).tolist() == left[:, :-3].reshape(-1, 3).min(0).tolist() == [200, 0, 0]
    assert np.unique(right[:, 3:]).tolist() == [255]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_colour_that_means_transparent_shows_white(mode: str) -> None:
    key = 7 if mode == "L" else (7, 8, 9)
    image = Image.new(mode, (WIDTH, HEIGHT), key)
    image.paste(90 if mode == "L" else (90, 90, 90), (0, 0, WIDTH, HEIGHT // 2))
    upper, lower = np.split(read_pixels(save(image, "PNG", transparency=key), SIZE, "squeeze"), 2)
    assert (np.unique(upper[:-3]).tolist(), np.unique(lower[3:]).tolist()) == ([90], [255])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_grey_is_grey(form: str) -> None:
    grey = PICTURE.convert("L")
    pixels = read_pixels(save(grey, form, quality=95) if form == "JPEG" else save(grey, form), SIZE, "squeeze")
    assert difference(pixels, fitted(grey, SIZE)) < LOSS[form]


def test_black_and_white_of_one_bit() -> None:
    image = Image.new("1", (WIDTH, HEIGHT), 1)
    image.paste(0, (0, 0, WIDTH, HEIGHT // 2))
    upper, lower = np.split(read_pixels(save(image, "PNG"), SIZE, "squeeze"), 2)
    assert (np.unique(upper[:-3]).tolist(), np.unique(lower[3:]).tolist()) == ([0], [255])


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    levels = np.linspace(0, 65535, WIDTH).astype(np.uint16)[None].repeat(HEIGHT, 0)
    pixels = read_pixels(save(Image.fromarray(levels), "PNG"), SIZE, "squeeze")
    eight = Image.fromarray((levels >> 8).astype(np.uint8))
    assert difference(pixels, fitted(eight, SIZE)) < 0.5
    assert pixels[:, SIZE // 2].mean() == pytest.approx(128, abs=5)


def cmyk(*, adobe: bool) -> bytes:
    """A CMYK file of the picture: inks are inverted in Adobe's files, and as they are in others."""
    inks = PICTURE.convert("CMYK")
    if adobe:
        return save(inks, "JPEG", quality=95)
    content = save(Image.eval(inks, lambda level: 255 - level), "JPEG", quality=95)
    place = content.index(b"\xff\xee")
    return content[:place] + content[place + 2 + int.from_bytes(content[place + 2 : place + 4]) :]


@pytest.mark.parametrize("adobe", [True, False])
def test_inks_become_light(adobe: bool) -> None:
    content = cmyk(adobe=adobe)
    assert (b"Adobe" in content) == adobe
    assert difference(read_pixels(content, SIZE, "squeeze"), EXPECTED) < 4


STORED = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_turned_upright(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = save(STORED[orientation](PICTURE), form, exif=exif)
    pixels, seen = see(content, SIZE, "squeeze")
    assert (seen.width, seen.height) == read_image(content).size == (WIDTH, HEIGHT)
    assert difference(pixels, EXPECTED) < LOSS[form]


@pytest.mark.parametrize("byte_order", [b"II", b"MM"])
def test_an_orientation_is_read_in_either_byte_order(byte_order: bytes) -> None:
    order = "little" if byte_order == b"II" else "big"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    entry = number(0x0112, 2) + number(3, 2) + number(1, 4) + number(6, 2) + bytes(2)
    block = byte_order + number(42, 2) + number(8, 4) + number(1, 2) + entry
    plain = save(PICTURE, "JPEG")
    content = plain[:2] + segment(0xE1, b"Exif\0\0" + block) + plain[2:]
    assert read_image(content).size == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "block", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x09\0\x12\x01", b"junk" * 9]
)
def test_exif_that_makes_no_sense_turns_nothing(block: bytes) -> None:
    plain = save(PICTURE, "JPEG")
    content = plain[:2] + segment(0xE1, b"Exif\0\0" + block) + plain[2:]
    assert np.array_equal(read_pixels(content, SIZE, "squeeze"), read_pixels(plain, SIZE, "squeeze"))


@pytest.mark.parametrize(
    ("fit", "width", "height", "box"),
    [
        ("squeeze", 640, 480, (0, 0, 640, 480)),
        ("crop", 640, 480, (80, 0, 560, 480)),
        ("crop", 480, 641, (0, 80, 480, 560)),
        ("crop", 300, 300, (0, 0, 300, 300)),
    ],
)
def test_what_the_model_saw_is_a_box_of_the_picture(
    fit: Fit, width: int, height: int, box: tuple[int, int, int, int]
) -> None:
    assert view(width, height, fit) == View(width, height, box)


def test_a_crop_shows_its_box_and_nothing_else() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste((0, 0, 255), (100, 0, 200, 100))
    pixels, seen = see(save(image, "PNG"), SIZE, "crop")
    assert seen.box == (100, 0, 200, 100)
    # Where the box ends, the filter sees a pixel or two beyond.
    assert np.unique(pixels[:, 1:-1].reshape(-1, 3), axis=0).tolist() == [[0, 0, 255]]


def test_the_smallest_picture_is_read() -> None:
    content = save(Image.new("RGB", (MIN_SIDE, MIN_SIDE), "lime"), "PNG")
    assert np.unique(read_pixels(content, SIZE, "squeeze").reshape(-1, 3), axis=0).tolist() == [[0, 255, 0]]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(640, 480), (401, 303), (130, 391)])
def test_reducing_first_changes_next_to_nothing(form: str, width: int, height: int) -> None:
    image = draw(width, height)
    content = save(image, form)
    whole = fit_pixels(read_image(content), SIZE, "squeeze")
    assert difference(read_pixels(content, SIZE, "squeeze"), whole) < 0.6


@pytest.mark.parametrize("fit", ["squeeze", "crop"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize(("width", "height"), [(512, 512), (65, 65), (1600, 1200), (400, 300), (1201, 77)])
def test_few_pixels_are_read_of_large_pictures(form: str, width: int, height: int, fit: Fit) -> None:
    image = draw(width, height)
    pixels, seen = see(save(image, form), 8, fit)
    expected = image.crop(seen.box).resize((8, 8), Image.Resampling.BICUBIC)
    assert difference(pixels, np.asarray(expected)) < 1.5


def test_a_jpeg_is_decoded_at_a_fraction_of_its_size_where_that_is_enough() -> None:
    content = save(draw(640, 480), "JPEG")
    assert read_image(content, 224).size == (320, 240)
    assert read_image(content, 32).size == (80, 60)
    assert read_image(content).size == (640, 480)


def test_what_is_left_out_of_a_file_does_not_change_its_picture() -> None:
    bare = save(PICTURE, "PNG")
    told = save(PICTURE, "PNG", icc_profile=b"no profile" * 300, dpi=(300, 300))
    assert len(told) > len(bare)
    assert np.array_equal(read_pixels(told, SIZE, "squeeze"), read_pixels(bare, SIZE, "squeeze"))


def test_pillow_is_left_as_it_was() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert Image.MAX_IMAGE_PIXELS == 1024 * 1024 * 1024 // 4 // 3
