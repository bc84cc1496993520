"""Image files, made by Pillow: good ones of each format, and what strangers make of them."""

import struct
import zlib
from io import BytesIO
from typing import Any, Final

from PIL import Image

SECRET_MARK: Final = b"metadata-that-nobody-may-see"


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - what Pillow takes
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Return a picture whose pixels differ, so that a wrong turn, crop or colour shows."""
    width, height = size
    image = Image.new("RGB", size)
    image.putdata([(x * 255 // width, y * 255 // height, (x + y) % 256) for y in range(height) for x in range(width)])
    return image.convert(mode)


def frames(number: int, size: tuple[int, int] = (24, 16)) -> list[Image.Image]:
    """Return pictures of one colour each."""
    return [Image.new("RGB", size, (at * 37 % 256, at // 256 * 64, 128)) for at in range(number)]


def animated(kind: str, number: int, *, size: tuple[int, int] = (24, 16), duration: int = 120) -> bytes:
    first, *others = frames(number, size)
    return encoded(first, kind, save_all=True, append_images=others, duration=duration, loop=0)


def good() -> dict[str, bytes]:
    """Return a file of each format, by Pillow's name of it."""
    return {kind: encoded(picture(), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP")}


def svg() -> bytes:
    return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def png_bomb(side: int) -> bytes:
    """Return a small, whole PNG of many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" * (1 + side // 8)
    squeezed = zlib.compressobj(9)
    data = b"".join(squeezed.compress(row) for _ in range(side)) + squeezed.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def gif_bomb(side: int) -> bytes:
    """Return a GIF with a tiny screen, and a frame that says to be large."""
    data = bytearray(good()["GIF"])
    frame = data.index(b"\x2c", 13 + (3 << (data[10] & 7) + 1))
    data[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
    return bytes(data)


def webp_bomb(side: int) -> bytes:
    """Return a WebP whose canvas says to be large."""
    data = bytearray(animated("WEBP", 2))
    assert data[12:16] == b"VP8X"
    data[24:30] = (side - 1).to_bytes(3, "little") * 2
    return bytes(data)


def jpeg_bomb(side: int) -> bytes:
    """Return a JPEG whose header says to be large."""
    data = bytearray(good()["JPEG"])
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def jpeg_of_many_scans(number: int) -> bytes:
    """Return a progressive JPEG that goes over its pixels again and again."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * number + data[-2:]
