"""Writes an image anew, so that nothing of the file that a stranger sent is left but its pixels.

Metadata, comments, profiles and whatever was appended are not carried over, and what no decoder can read is refused. Sizes have
been looked at before (`playclock.core.images.examine`). Takes seconds for the largest: for a thread.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import msgspec
from PIL import Image, ImageOps

from playclock.core.images import DAMAGED, FILE_TOO_LARGE, STORED_BYTES_MAX, Examined, ImageFormat, ImageProblem

QUALITY: Final = 90
"""Of JPEG and of lossy WebP."""
_DURATION_MS_MAX: Final = 655_350
"""What a GIF has room for."""
_OPAQUE: Final = {"1", "L", "RGB"}


class Cleaned(msgspec.Struct, frozen=True):
    """An image as it is kept."""

    data: bytes
    format: ImageFormat
    width: int
    height: int


class _Animation(msgspec.Struct, frozen=True):
    frames: list[Image.Image]
    durations_ms: list[int]
    loop: int | None
    """How often it is shown, 0 for ever; None where the file does not say."""


def clean(data: bytes, examined: Examined) -> Cleaned | ImageProblem:
    """Return the image anew in its format, or what is wrong with it."""
    kept = examined.format
    try:
        decoded = _decoded(data, examined)
    except Exception:  # noqa: BLE001 - decoders raise whatever they trip over, and what they trip over is a stranger's file
        return DAMAGED
    if decoded is None:
        return DAMAGED
    out = BytesIO()
    if isinstance(decoded, _Animation):
        first, *others = decoded.frames
        options: dict[str, Any] = {"save_all": True, "append_images": others, "duration": decoded.durations_ms}
        if decoded.loop is not None:
            options["loop"] = decoded.loop
        if kept is ImageFormat.GIF and any(frame.mode == "RGBA" for frame in decoded.frames):
            options["disposal"] = 2  # what a frame leaves clear shows nothing of the one before
    else:
        first, options = _plain(decoded, kept), {}
    if kept is ImageFormat.JPEG:
        options["quality"] = QUALITY
    elif kept is ImageFormat.WEBP:
        options |= {"quality": QUALITY, "lossless": examined.measure.is_lossless}
        if "save_all" in options:
            options["method"] = 0  # an animation would take ten times as long
    first.save(out, kept.name, **options)
    written = out.getvalue()
    return Cleaned(written, kept, *first.size) if len(written) <= STORED_BYTES_MAX else FILE_TOO_LARGE


def _decoded(data: bytes, examined: Examined) -> Image.Image | _Animation | None:
    """Return what the file shows, the right way up; None where it is not what its header told. Raises anything."""
    measure, kept = examined.measure, examined.format
    with Image.open(BytesIO(data), formats=[kept.name]) as image:
        if image.width > measure.width or image.height > measure.height:
            return None
        # Of a JPEG with several pictures, such as a phone's, the first is meant.
        frames = 1 if kept is ImageFormat.JPEG else getattr(image, "n_frames", 1)
        if kept is not ImageFormat.PNG and frames != (measure.frames if kept is not ImageFormat.JPEG else 1):
            return None
        if frames > measure.frames + 1:  # a PNG may have a still picture beside its animation
            return None
        if frames > 1:
            return _animation(image, range(1 if image.info.get("default_image") else 0, frames))
        image.load()
        return _upright(image)


def _animation(image: Image.Image, places: range) -> _Animation:
    loop = image.info.get("loop")
    frames, durations_ms = [], []
    for place in places:
        image.seek(place)
        frame = image.convert("RGBA" if image.has_transparency_data else "RGB")
        frame.info = {}
        frames.append(frame)
        durations_ms.append(min(_DURATION_MS_MAX, max(0, round(image.info.get("duration", 0)))))
    return _Animation(frames, durations_ms, loop if isinstance(loop, int) else None)


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture as its EXIF says that it is to be turned, for nobody will know any more."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - EXIF that cannot be read turns nothing
        return image.copy()


def _plain(image: Image.Image, kept: ImageFormat) -> Image.Image:
    """Return the picture in a mode of its format, with nothing beside its pixels."""
    transparency = image.info.get("transparency")
    plain = _MODES[kept](image)
    plain.info = {}
    if plain.mode == "P" and transparency is not None:
        plain.info["transparency"] = transparency
    return plain


def _for_jpeg(image: Image.Image) -> Image.Image:
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def _for_png(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, of which eight are kept
        return image.convert("I").point([at // 256 for at in range(65_536)], "L")
    if image.mode in _OPAQUE and image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"1", "L", "LA", "P", "RGB", "RGBA"} else image.convert("RGBA")


def _for_gif(image: Image.Image) -> Image.Image:
    return image if image.mode in {"1", "L", "P"} else image.convert("RGBA" if image.has_transparency_data else "RGB")


def _for_webp(image: Image.Image) -> Image.Image:
    return image if image.mode in {"RGB", "RGBA"} else image.convert("RGBA" if image.has_transparency_data else "RGB")


_MODES: Final[dict[ImageFormat, Callable[[Image.Image], Image.Image]]] = {
    ImageFormat.JPEG: _for_jpeg,
    ImageFormat.PNG: _for_png,
    ImageFormat.GIF: _for_gif,
    ImageFormat.WEBP: _for_webp,
}
