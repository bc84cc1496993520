"""Takes images in, has them examined and written anew, and keeps them under the hash of what was written."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from playclock.blobs.base import Blobs, BlobsUnavailable
from playclock.core.images import (
    BASE64_TOO_LARGE,
    FILE_BYTES_MAX,
    FILE_TOO_LARGE,
    ImageFormat,
    ImageProblem,
    examine,
    format_of_name,
    name_of,
    read_data_uri,
)
from playclock.engine.images import Note, OpenImage, StoredImage
from playclock.errors import BadRequest, ImageNotFound, ImagesAway, InvalidImage
from playclock.images.cleaning import Cleaned, clean

UPLOADS_MAX: Final = 16
"""How many images may be on their way at once: each takes up to 10 MiB until it has been written anew."""
THREADS: Final = 2
"""How many are decoded at once: each takes some 200 MiB at most."""
RECEIPT_SEC: Final = 30.0
DRAINED_BYTES_MAX: Final = 4 * FILE_BYTES_MAX
"""How much of what is too large is thrown away before it is refused: gRPC's clients often miss an answer while they send."""
STORED: Final = "stored"
KNOWN: Final = "known"
REMOVED: Final = "removed"


class ImageKeeper:
    """Keeps images in a blob store."""

    def __init__(self, blobs: Blobs, *, url: str = "/images", receipt_sec: float = RECEIPT_SEC) -> None:
        """Take the store, which this closes, and the address below which images are served."""
        self._blobs = blobs
        self._url = url.rstrip("/")
        self._receipt_sec = receipt_sec
        self._threads = ThreadPoolExecutor(THREADS, "playclock images")
        self._uploads = 0
        self._outcomes: dict[str, int] = {}

    async def put(self, chunks: AsyncIterator[bytes], *, is_data_uri: bool, note: Note) -> StoredImage:
        """Keep an image that arrives bit by bit. Raises InvalidImage, BadRequest, ImagesAway, and what `note` raises."""
        if self._uploads >= UPLOADS_MAX:
            raise ImagesAway("too many images are on their way")
        self._uploads += 1
        try:
            received = await self._receive(chunks, is_data_uri=is_data_uri)
            # Who goes away leaves a thread to its image, and whoever waits for a thread gives its place up.
            loop = asyncio.get_running_loop()
            judged = await loop.run_in_executor(self._threads, partial(_judge, received, is_data_uri=is_data_uri))
        finally:
            self._uploads -= 1
        if isinstance(judged, ImageProblem):
            self._count(judged.name)
            raise InvalidImage(judged.message, problem=judged.name)
        cleaned, name = judged
        await note(name)
        with _blobs_may_be_away():
            self._count(STORED if await self._blobs.put(name, cleaned.data) else KNOWN)
        return self._image(name, cleaned.format, len(cleaned.data), cleaned.width, cleaned.height)

    async def remove(self, name: str) -> None:
        """Keep what lies under a name no more, if there is something. Raises ImagesAway."""
        with _blobs_may_be_away():
            await self._blobs.remove(name)
        self._count(REMOVED)

    async def get(self, name: str) -> StoredImage:
        """Return what is kept under a name. Raises ImageNotFound, ImagesAway."""
        kept = _format(name)
        with _blobs_may_be_away():
            size = await self._blobs.size(name)
        if size is None:
            raise ImageNotFound("there is no such image")
        return self._image(name, kept, size)

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[OpenImage]:
        """Open what is kept under a name. Raises ImageNotFound, ImagesAway."""
        kept = _format(name)
        with _blobs_may_be_away():
            async with self._blobs.reading(name) as blob:
                if blob is None:
                    raise ImageNotFound("there is no such image")
                yield OpenImage(self._image(name, kept, blob.size_bytes), blob.chunks)

    def outcomes(self) -> Mapping[str, int]:
        """Return how many images were stored, known when they were offered, refused for which problem, and removed."""
        return self._outcomes

    async def close(self) -> None:
        """Let go of threads and store."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._blobs.close()

    async def _receive(self, chunks: AsyncIterator[bytes], *, is_data_uri: bool) -> bytes | ImageProblem:
        received, size = bytearray(), 0
        try:
            async with asyncio.timeout(self._receipt_sec):
                async for chunk in chunks:
                    size += len(chunk)
                    if size <= FILE_BYTES_MAX:
                        received += chunk
                    elif size > DRAINED_BYTES_MAX:
                        break
        except TimeoutError:
            raise BadRequest({"chunk": f"not all of the image arrived within {self._receipt_sec:g} s"}) from None
        if size > FILE_BYTES_MAX:
            return BASE64_TOO_LARGE if is_data_uri else FILE_TOO_LARGE
        return bytes(received)

    def _image(self, name: str, kept: ImageFormat, size: int, width: int = 0, height: int = 0) -> StoredImage:
        return StoredImage(name, kept.content_type, size, f"{self._url}/{name}", width, height)

    def _count(self, outcome: str) -> None:
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1


def _judge(received: bytes | ImageProblem, *, is_data_uri: bool) -> tuple[Cleaned, str] | ImageProblem:
    """Return the image as it is to be kept, and its name, or what is wrong with it. For a thread."""
    data = read_data_uri(received) if is_data_uri and isinstance(received, bytes) else received
    if isinstance(data, ImageProblem):
        return data
    examined = examine(data)
    if isinstance(examined, ImageProblem):
        return examined
    cleaned = clean(data, examined)
    if isinstance(cleaned, ImageProblem):
        return cleaned
    return cleaned, name_of(hashlib.sha256(cleaned.data).hexdigest(), cleaned.format)


def _format(name: str) -> ImageFormat:
    kept = format_of_name(name)
    if kept is None:
        raise ImageNotFound("there is no such image")
    return kept


class _blobs_may_be_away:  # noqa: N801 - read as a sentence
    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        if isinstance(exc, BlobsUnavailable):
            raise ImagesAway("the place where images lie cannot be reached") from exc
