"""What the structure of an image file says of its size, before anything is decoded.

A decoder of images takes memory for what a header promises as soon as it opens the file (libwebp two canvases, Pillow what a
GIF's frame covers), so whether that may be is decided here first. What is no whole file of its format is None.
"""

import re
from typing import Final

import msgspec

_PNG_SIGNATURE: Final = 8
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a segment."""
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends the data of a scan: stuffed zeros, restarts and padding do not."""


class Measure(msgspec.Struct, frozen=True):
    """How much there is to decode."""

    width: int
    height: int
    frames: int = 1
    scans: int = 1
    """How often a decoder goes over the pixels."""
    is_lossless: bool = False
    """Of a WebP: whether its picture is kept to the pixel."""


def measure_png(data: bytes) -> Measure | None:
    """Walk the chunks of a PNG, up to its end."""
    size, frames, place = None, 1, _PNG_SIGNATURE
    while place + 12 <= len(data):
        length, kind, body = _big(data[place : place + 4]), data[place + 4 : place + 8], place + 8
        if kind == b"IEND":
            return None if size is None else _measured(*size, frames=frames)
        if (kind == b"IHDR") is not (size is None):
            return None  # the first chunk, and no other
        if kind == b"IHDR":
            size = _big(data[body : body + 4]), _big(data[body + 4 : body + 8])
        elif kind == b"acTL":
            frames = max(frames, _big(data[body : body + 4]))
        place = body + length + 4
    return None


def measure_jpeg(data: bytes) -> Measure | None:
    """Walk the segments of a JPEG, up to its first scan."""
    width = height = 0
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:  # a marker may be led up to by any number of these
            place += 1
        elif marker in _STANDALONE:
            place += 2
        elif marker == _START_OF_SCAN:
            return _measured(width, height, scans=_scans(data, place))
        elif marker == _END_OF_IMAGE:
            return None
        else:
            if marker in _START_OF_FRAME:
                # A decoder believes the last one.
                height, width = _big(data[place + 5 : place + 7]), _big(data[place + 7 : place + 9])
            place += 2 + max(2, _big(data[place + 2 : place + 4]))
    return None


def measure_gif(data: bytes) -> Measure | None:
    """Walk the blocks of a GIF, up to its trailer. A frame may be larger than the screen, which then grows."""
    if len(data) < 13:
        return None
    width, height = _little(data[6:8]), _little(data[8:10])
    frames, place = 0, 13 + _palette_bytes(data[10])
    while place < len(data):
        kind = data[place]
        if kind == 0x3B:
            return _measured(width, height, frames=frames)
        if kind == 0x21:
            after = _after_blocks(data, place + 2)
        elif kind == 0x2C and place + 10 < len(data):
            left, top, wide, high = (_little(data[place + at : place + at + 2]) for at in (1, 3, 5, 7))
            width, height, frames = max(width, left + wide), max(height, top + high), frames + 1
            after = _after_blocks(data, place + 11 + _palette_bytes(data[place + 9]))
        else:
            return None
        if after is None:
            return None
        place = after
    return None


def measure_webp(data: bytes) -> Measure | None:
    """Walk the chunks of a WebP, up to the end that its header tells."""
    end = 8 + _little(data[4:8])
    if end > len(data):
        return None
    width = height = frames = 0
    is_lossless, place = False, 12
    while place + 8 <= end:
        kind, length, body = data[place : place + 4], _little(data[place + 4 : place + 8]), place + 8
        if body + length > end:
            return None
        wide, high = _webp_size(kind, data[body : body + 10])
        width, height = max(width, wide), max(height, high)
        frames += kind == b"ANMF"
        is_lossless |= kind == b"VP8L"
        place = body + length + length % 2
    return _measured(width, height, frames=max(1, frames), is_lossless=is_lossless)


def _scans(data: bytes, place: int) -> int:
    """Return how many scans there are from the first one on. Segments in between are skipped: they may hold any bytes."""
    scans = 0
    while (marker := _MARKER_IN_SCAN.search(data, place)) is not None:
        place = marker.start()
        if data[place + 1] == _END_OF_IMAGE:
            break
        scans += data[place + 1] == _START_OF_SCAN
        place += 2 + max(2, _big(data[place + 2 : place + 4]))
    return scans


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int]:
    """Return the size that a chunk tells; nothing for one that tells none."""
    if kind == b"VP8X" and len(head) == 10:
        return 1 + _little(head[4:7]), 1 + _little(head[7:10])
    if kind == b"VP8 " and len(head) == 10:
        return _little(head[6:8]) & 0x3FFF, _little(head[8:10]) & 0x3FFF
    if kind == b"VP8L" and len(head) >= 5:
        bits = _little(head[1:5])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return 0, 0


def _measured(width: int, height: int, *, frames: int = 1, scans: int = 1, is_lossless: bool = False) -> Measure | None:
    if not width or not height or not frames:
        return None
    return Measure(width, height, frames, scans, is_lossless)


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int) -> int | None:
    """Return where a GIF's chain of blocks is over, after the empty one; None where it is not."""
    while place < len(data):
        if not data[place]:
            return place + 1
        place += 1 + data[place]
    return None


def _big(raw: bytes) -> int:
    return int.from_bytes(raw)


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
