"""What a picture file says of itself, read before any decoder is let near it.

Only what makes up the picture is handed on. Profiles, comments, thumbnails and further frames are left out: the decoder
has no use for them, and they are where files are made to burst, to stall, or to be told about in warnings.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Format = Literal["JPEG", "PNG", "WEBP", "GIF"]

MAX_SCANS = 50
"""A progressive JPEG has ten or so. Each is a pass over the whole picture, and a small file can hold thousands."""

_SOI, _SOS = b"\xff\xd8", 0xDA
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header, one for each way of coding."""
_APPLICATION, _JFIF, _EXIF, _ADOBE, _COMMENT = range(0xE0, 0xF0), 0xE0, 0xE1, 0xEE, 0xFE
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ORIENTATION = 0x0112


class ImageError(ValueError):
    """What was sent is no picture that can be read; the message says what to send instead."""


@dataclass(frozen=True)
class Header:
    """A picture file: its size in pixels as it is stored, how it is to be turned, and what its decoder needs.

    `orientation` is that of EXIF 2.3, table 4: 1 is upright, from 5 on width and height change places.
    """

    format: Format
    width: int
    height: int
    content: bytes
    orientation: int = 1


def read_header(content: bytes) -> Header:
    """The header of a JPEG, PNG, WebP or GIF file.

    Raises:
        ImageError: it is none of these, or broken before its picture begins.
    """
    if not content:
        raise ImageError("the picture is empty; send the content of a JPEG, PNG, WebP or GIF file")
    for start, read in _READERS.items():
        if content.startswith(start):
            try:
                return read(content)
            except (struct.error, IndexError):
                raise broken("it ends within its header") from None
    raise ImageError("not a picture that can be read; send a JPEG, PNG, WebP or GIF file")


def broken(why: object) -> ImageError:
    """The error of a file that is a picture, but not a sound one."""
    return ImageError(f"the picture is broken ({why}); send the whole file, as a camera or an editor saved it")


def _jpeg(content: bytes) -> Header:
    """ITU-T T.81, annex B: segments, each with a marker and its length, up to the first scan."""
    if content.count(b"\xff\xda") > MAX_SCANS:
        raise ImageError(f"the picture is a JPEG of more than {MAX_SCANS} scans; save it anew, with fewer")
    size: tuple[int, int] | None = None
    orientation = 1
    kept = [_SOI]
    place = len(_SOI)
    while True:
        if content[place] != 0xFF:
            raise broken("no marker where a segment must start")
        marker = content[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == _SOS:
            break
        (length,) = struct.unpack_from(">H", content, place + 2)
        segment = content[place : place + 2 + length]
        if marker in _SIZES:
            if size is not None:
                raise broken("it has two frames")
            height, width = struct.unpack_from(">HH", segment, 5)
            size = width, height
        if marker == _EXIF and segment[4:10] == b"Exif\0\0":
            orientation = _turned(segment[10:])
        # What colours the numbers stand for is said by these two.
        if marker in (_JFIF, _ADOBE) or marker not in (*_APPLICATION, _COMMENT):
            kept.append(segment)
        place += 2 + length
    if size is None:
        raise broken("no frame before its first scan")
    return Header("JPEG", *size, b"".join([*kept, content[place:]]), orientation)


def _png(content: bytes) -> Header:
    """PNG 3, section 5: chunks, each with its length, its type, its data and a checksum."""
    width, height = struct.unpack_from(">II", content, 16)
    orientation = 1
    kept = [content[:8]]
    place = 8
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + length + 12
        if kind == b"eXIf":
            orientation = _turned(content[place + 8 : end - 4])
        if kind in _CHUNKS:
            kept.append(content[place:end])
        place = end
    return Header("PNG", width, height, b"".join(kept), orientation)


def _webp(content: bytes) -> Header:
    """RFC 9649, section 2.5 on: RIFF chunks; the first one tells the size in one of three ways."""
    if content[8:12] != b"WEBP":
        raise ImageError("not a picture that can be read; send a JPEG, PNG, WebP or GIF file")
    kind = content[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", content, 24)
        width, height = (high_width << 16) + low_width + 1, (high_height << 16) + low_height + 1
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    orientation = 1
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, place)
        if name == b"EXIF":
            orientation = _turned(content[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
    return Header("WEBP", width, height, content, orientation)


def _gif(content: bytes) -> Header:
    """GIF89a, sections 17 to 27: the first picture's own place may reach beyond the screen, which then grows."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    place = 13 + _palette_length(flags)
    while content[place] == ord("!"):
        place += 2
        while length := content[place]:
            place += 1 + length
        place += 1
    if content[place] != ord(","):
        raise broken("it holds no picture")
    left, top, own_width, own_height, flags = struct.unpack_from("<HHHHB", content, place + 1)
    end = place + 10 + _palette_length(flags) + 1
    while length := content[end] if end < len(content) else 0:
        end += 1 + length
    return Header("GIF", max(width, left + own_width), max(height, top + own_height), content[: end + 1] + b";")


def _palette_length(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _turned(exif: bytes) -> int:
    """The orientation in an EXIF block, which is a TIFF file's directory; 1 where it says none that there is."""
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _kind, _count, value = struct.unpack_from(f"{order}HHIH", block, entry)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        # A block that is cut off turns nothing: the picture itself may be whole.
        return 1
    return 1


_READERS: dict[bytes, Callable[[bytes], Header]] = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"RIFF": _webp,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
}
