"""Images of games: the data URI, and what may be kept. Messages are play.fun's where its documents have one.

What a file is called, and what type it was sent with, say nothing: the format is that of its contents.
"""

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from enum import Enum
from typing import Final

import msgspec

from playclock.core.image_headers import Measure, measure_gif, measure_jpeg, measure_png, measure_webp

FILE_BYTES_MAX: Final = 10 * 1024 * 1024
"""How large an image may be as it is sent."""
BASE64_BYTES_MAX: Final = 5 * 1024 * 1024
"""How large what a data URI holds may be. The documents say 5MB."""
STORED_BYTES_MAX: Final = 2 * FILE_BYTES_MAX
"""How large what is kept may be: written anew, an image may grow."""
PIXELS_MAX: Final = 1 << 24
"""4096 x 4096."""
SIDE_MAX: Final = 16_383
"""What WebP has room for."""
FRAMES_MAX: Final = 500
ANIMATION_PIXELS_MAX: Final = 1 << 25
"""Pixels of all frames together: 32 million, such as 110 frames of 640 x 480."""
SCANS_MAX: Final = 64
"""How often a JPEG may go over its pixels. Progressive ones have about ten scans; an empty one costs its sender ten bytes."""

SUPPORTED: Final = "jpeg, jpg, png, gif, webp"
"""As the documents list them."""

_DATA_URI: Final = re.compile(rb"data:image/([a-z0-9][a-z0-9.+-]{0,30});base64,", re.ASCII | re.IGNORECASE)
_NAME_LENGTH: Final = 68
"""The shortest a name is: 64 digits and an extension of three letters."""
_NAME: Final = re.compile(r"(?<![0-9a-z])[0-9a-f]{64}\.(?:jpg|png|gif|webp)(?![0-9a-zA-Z])", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ImageFormat(Enum):
    """A format that is kept, by the extension that it gets."""

    JPEG = "jpg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"

    @property
    def content_type(self) -> str:
        """Return its media type."""
        return "image/jpeg" if self is ImageFormat.JPEG else f"image/{self.value}"


class ImageProblem(msgspec.Struct, frozen=True):
    """Why an image is refused: a name for programs, and the message for whoever sent it."""

    name: str
    message: str


NO_IMAGE: Final = ImageProblem("NO_IMAGE", "No image provided")
INVALID_BASE64: Final = ImageProblem("INVALID_BASE64", "Invalid base64 image format")
BASE64_TOO_LARGE: Final = ImageProblem(
    "BASE64_TOO_LARGE",
    "Image file size exceeds 5MB limit. Please use a smaller image or the UPLOAD flow for larger files.",
)
FILE_TOO_LARGE: Final = ImageProblem("FILE_TOO_LARGE", "Image file size exceeds 10MB limit. Please use a smaller image.")
DAMAGED: Final = ImageProblem("DAMAGED", "Image file is damaged or incomplete")
TOO_MANY_PIXELS: Final = ImageProblem(
    "TOO_MANY_PIXELS", f"Image dimensions exceed {PIXELS_MAX} pixels, or {SIDE_MAX} on a side. Please use a smaller image."
)
TOO_MANY_FRAMES: Final = ImageProblem(
    "TOO_MANY_FRAMES",
    f"Image animation exceeds {FRAMES_MAX} frames, or {ANIMATION_PIXELS_MAX} pixels in all. Please use a smaller image.",
)
UNSUPPORTED_FORMAT: Final = "UNSUPPORTED_FORMAT"
PROBLEMS: Final = (
    *(problem.name for problem in (NO_IMAGE, INVALID_BASE64, BASE64_TOO_LARGE, FILE_TOO_LARGE, DAMAGED)),
    *(problem.name for problem in (TOO_MANY_PIXELS, TOO_MANY_FRAMES)),
    UNSUPPORTED_FORMAT,
)
"""The names of all of them."""


class Examined(msgspec.Struct, frozen=True):
    """An image whose header says that it may be decoded."""

    format: ImageFormat
    measure: Measure


def unsupported(name: str) -> ImageProblem:
    """Return what is told of a format that is not kept."""
    return ImageProblem(UNSUPPORTED_FORMAT, f"Unsupported image format: {name}. Supported formats: {SUPPORTED}")


def name_in(url: str) -> str | None:
    """Return the name of an image of ours that an address ends in, whatever it begins with; None for any other address."""
    found = _NAME.search(url) if len(url) >= _NAME_LENGTH else None
    return None if found is None else found[0]


def read_data_uri(uri: bytes) -> bytes | ImageProblem:
    """Return the bytes of `data:image/{format};base64,{data}`, or what is wrong with it.

    The format must be one that is kept; which one it is, the contents say. The size is looked at before anything is decoded.
    """
    if not uri:
        return NO_IMAGE
    head = _DATA_URI.match(uri)
    if head is None:
        return INVALID_BASE64
    name = head[1].decode().lower()
    if name not in SUPPORTED.split(", "):
        return unsupported(name)
    length = len(uri) - head.end()
    if length % 4 or not length:
        return INVALID_BASE64
    size = length // 4 * 3 - uri.endswith(b"=") - uri.endswith(b"==")
    if size > BASE64_BYTES_MAX:
        return BASE64_TOO_LARGE
    try:
        data = a2b_base64(memoryview(uri)[head.end() :], strict_mode=True)
    except NotBase64:
        return INVALID_BASE64
    return data if len(data) == size else INVALID_BASE64  # more padding than there can be


def examine(data: bytes) -> Examined | ImageProblem:
    """Say what an image is, and how large, from its header alone, or what is wrong with it. Nothing is decoded."""
    if not data:
        return NO_IMAGE
    if len(data) > FILE_BYTES_MAX:
        return FILE_TOO_LARGE
    known = format_of(data)
    if isinstance(known, str):
        return unsupported(known)
    measure = _MEASURING[known](data)
    if measure is None:
        return DAMAGED
    pixels = measure.width * measure.height
    if pixels > PIXELS_MAX or max(measure.width, measure.height) > SIDE_MAX:
        return TOO_MANY_PIXELS
    if measure.frames > 1 and (measure.frames > FRAMES_MAX or measure.frames * pixels > ANIMATION_PIXELS_MAX):
        return TOO_MANY_FRAMES
    return DAMAGED if measure.scans > SCANS_MAX else Examined(known, measure)


def format_of(data: bytes) -> ImageFormat | str:
    """Return the format by the contents; of one that is not kept, its name, or "unknown"."""
    for magic, found in _MAGIC:
        if data.startswith(magic):
            return found
    if data.startswith(b"RIFF"):
        return ImageFormat.WEBP if data[8:12] == b"WEBP" else "unknown"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "unknown")
    beginning = data[:1024].lower()
    return "svg" if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<svg" in beginning else "unknown"


def name_of(digest: str, kept: ImageFormat) -> str:
    """Return the name under which an image is kept and served: the SHA-256 of its bytes, and its extension."""
    return f"{digest}.{kept.value}"


def format_of_name(name: str) -> ImageFormat | None:
    """Return the format that a name tells; None for what is no name of an image, in its one spelling."""
    digest, _, extension = name.partition(".")
    return _EXTENSIONS.get(extension) if _DIGEST.fullmatch(digest) else None


_EXTENSIONS: Final = {kept.value: kept for kept in ImageFormat}
_MAGIC: Final[tuple[tuple[bytes, ImageFormat | str], ...]] = (
    (b"\xff\xd8\xff", ImageFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", ImageFormat.PNG),
    (b"GIF87a", ImageFormat.GIF),
    (b"GIF89a", ImageFormat.GIF),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\0\0\1\0", "ico"),
    (b"\xff\x0a", "jxl"),
    (b"8BPS", "psd"),
    (b"%PDF", "pdf"),
)
_BRANDS: Final = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heic"}
_MEASURING: Final = {
    ImageFormat.JPEG: measure_jpeg,
    ImageFormat.PNG: measure_png,
    ImageFormat.GIF: measure_gif,
    ImageFormat.WEBP: measure_webp,
}
