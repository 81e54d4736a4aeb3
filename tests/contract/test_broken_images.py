"""What is no picture, half of one, or too much of one: an `ImageError` that says what to do, and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.images import ImageError, read_pixels
from tests.contract.pictures import FORMATS, black, draw, gif, png, save, segment

SIZE = 16
ROOT = Path(__file__).resolve().parents[2]
SMALL = draw(40, 28)
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (28, 40, 4), dtype=np.uint8))
FILES = [
    save(NOISE.convert("RGB"), "JPEG"),
    save(SMALL, "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    save(NOISE.convert("CMYK"), "JPEG"),
    save(NOISE, "PNG"),
    save(SMALL.quantize(16), "PNG", transparency=3),
    save(NOISE, "WEBP"),
    save(NOISE, "WEBP", lossless=True),
    save(SMALL, "WEBP", save_all=True, append_images=[SMALL.rotate(90)]),
    save(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(90)], disposal=2),
]


def refused(content: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read_pixels(content, SIZE, "squeeze")
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"a", b"a photo", b"<svg/>", b"%PDF-1.7", b"BM" + bytes(60), b"II*\0" + bytes(60), b"RIFF\0\0\0\0WAVEfmt "],
)
def test_what_is_no_picture_is_told_what_is(content: bytes) -> None:
    assert refused(content) == "not a picture that can be read; send a JPEG, PNG, WebP or GIF file"


def test_nothing_is_no_picture() -> None:
    assert refused(b"") == "the picture is empty; send the content of a JPEG, PNG, WebP or GIF file"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_part_of_a_picture_is_refused(form: str, share: float) -> None:
    content = save(NOISE.convert("RGB"), form)
    assert "broken" in (said := refused(content[: int(len(content) * share)]))
    assert said.endswith("send the whole file, as a camera or an editor saved it")


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (png(0, 0), "0 × 0"),
        (png(0, 9, black(8, 9)), "0 × 9"),
        (gif(0, 0, (0, 0, 0, 0)), "0 × 0"),
        (save(SMALL, "JPEG").replace(b"\x00\x11\x08\x00\x1c\x00\x28", b"\x00\x11\x08\x00\x00\x00\x28"), "40 × 0"),
        *((save(Image.new("RGB", (1, 1)), form), "1 × 1") for form in FORMATS),
        (save(Image.new("RGB", (300, 7)), "PNG"), "300 × 7"),
    ],
)
def test_what_is_too_small_to_see_is_refused(content: bytes, size: str) -> None:
    assert refused(content) == f"the picture has {size} pixels; send one of at least 8 × 8"


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (save(Image.new("RGB", (10_000, 20)), "JPEG"), "10000 × 20"),
        (save(Image.new("L", (20, 8_193)), "PNG"), "20 × 8193"),
        (save(Image.new("L", (5_000, 4_001)), "GIF"), "5000 × 4001"),
    ],
)
def test_what_is_too_large_is_told_the_limits(content: bytes, size: str) -> None:
    said = refused(content)
    assert said.startswith(f"the picture has {size} pixels, the limits are 8,192 pixels a side and ")
    assert said.endswith(" million in all: send a smaller one")


def webp_canvas(width: int, height: int) -> bytes:
    """An animation of a small picture on a huge canvas."""
    content = bytearray(FILES[7])
    assert content[12:16] == b"VP8X"
    content[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(content)


BOMBS = {
    "png": png(20_000, 20_000, black(20_000, 20_000)),
    "png that claims": png(2**31 - 1, 2**31 - 1, black(8, 8)),
    "gif screen": gif(65_535, 65_535, (0, 0, 8, 8)),
    "gif picture": gif(8, 8, (0, 0, 13_000, 13_000), disposal=2),
    "gif place": gif(8, 8, (60_000, 60_000, 8, 8)),
    "webp canvas": webp_canvas(16_384, 16_384),
    "webp canvas below Pillow's own limit": webp_canvas(10_000, 10_000),
    "scans": (scan := save(SMALL, "JPEG", progressive=True))[:-2] + scan[scan.rindex(b"\xff\xda") : -2] * 5000,
}
SWOLLEN = zlib.compress(bytes(50_000_000), 9)
LOADED = {
    "profile": png(8, 8, (b"iCCP", b"p\0\0" + SWOLLEN), black(8, 8)),
    "text": png(8, 8, *[(b"zTXt", b"t\0\0" + SWOLLEN)] * 20, black(8, 8)),
    "largest png": png(5_000, 4_000, black(5_000, 4_000)),
    "largest gif": save(Image.new("L", (5_000, 4_000)), "GIF"),
    "largest webp": save(Image.new("RGBA", (5_000, 4_000)), "WEBP", lossless=True, quality=0, method=0),
    "largest jpeg": save(Image.new("RGB", (8_000, 5_000)), "JPEG", progressive=True, subsampling=0),
}
MEASURE = """
import json
import sys
from pathlib import Path
from contract.images import ImageError, read_pixels

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

found = {}
for path in Path(sys.argv[1]).iterdir():
    content = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    try:
        read_pixels(content, 224, "squeeze")
        said = "read"
    except ImageError as error:
        said = str(error)
    found[path.name] = (peak() - before) // 1024, said
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """How many MiB more each took at most, in another process where any warning is an error; and what was said."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, content in {**BOMBS, **LOADED}.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, "-W", "error", "-c", MEASURE, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert done.stderr == b""
    return dict(json.loads(done.stdout))


LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a process")


@LINUX
@pytest.mark.parametrize("name", BOMBS)
def test_what_would_burst_is_refused_before_it_takes_memory(measured: dict[str, tuple[int, str]], name: str) -> None:
    taken, said = measured[name]
    assert said != "read"
    assert taken < 8


@LINUX
@pytest.mark.parametrize("name", LOADED)
def test_what_is_read_takes_bounded_memory(measured: dict[str, tuple[int, str]], name: str) -> None:
    taken, said = measured[name]
    assert said == "read"
    assert taken < (8 if "largest" not in name else 480)


def test_a_file_that_says_what_is_not_so_is_broken() -> None:
    jpeg = save(SMALL, "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    doubled = jpeg[:frame] + segment(0xC0, b"\x08\x7f\xff\x7f\xff\x01\x01\x11\x00") + jpeg[frame:]
    assert "two frames" in refused(doubled)
    assert "no frame" in refused(jpeg[:2] + jpeg[jpeg.index(b"\xff\xda") :])
    assert "no marker" in refused(jpeg[:2] + b"\xff\xe0\x00\x02abc" + jpeg[2:])
    assert "holds no picture" in refused(gif(8, 8, (0, 0, 8, 8)).replace(b",", b";"))
    palette = save(SMALL.quantize(16), "PNG")
    assert "cannot be decoded" in refused(palette.replace(b"PLTE", b"plte"))


def readable(content: bytes) -> bool:
    try:
        pixels = read_pixels(content, SIZE, "squeeze")
    except ImageError:
        return False
    return pixels.shape == (SIZE, SIZE, 3)


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 ", b"GIF89a"]), st.binary())
def test_whatever_is_sent_is_a_picture_or_refused(start: bytes, rest: bytes) -> None:
    assert readable(start + rest) in (True, False)


@given(st.sampled_from(FILES), st.data())
def test_however_a_file_is_damaged_it_is_a_picture_or_refused(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, min(60, len(damaged) - 1)))
        damaged[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    assert readable(bytes(damaged)) in (True, False)


def test_the_pictures_of_these_tests_are_sound() -> None:
    assert all(map(readable, FILES))
    assert Image.open(io.BytesIO(FILES[7])).is_animated
