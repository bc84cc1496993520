"""ImageService: messages to images and back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from playclock.engine import Engine
from playclock.engine.images import StoredImage
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.v1.image_service_pb2 import (
    IMAGE_ENCODING_DATA_URI,
    GetImageRequest,
    GetImageResponse,
    Image,
    ImageEncoding,
    PutImageRequest,
    PutImageResponse,
)

FIRST_SEC: Final = 10.0
"""How long the first piece of an image may take."""


class ImageServicer:
    """Translates for whoever brings pictures of games, and for facades that serve them."""

    def __init__(self, engine: Engine) -> None:
        self._images = engine.images
        self._kept = engine.kept_images

    async def PutImage(self, requests: AsyncIterator[PutImageRequest], call: Call) -> PutImageResponse:
        """Keep an image."""
        try:
            async with asyncio.timeout(FIRST_SEC):
                first = await anext(requests, PutImageRequest())
        except TimeoutError:
            raise BadRequest({"chunk": f"nothing arrived within {FIRST_SEC:g} s"}) from None
        check(encoding=None if first.encoding in ImageEncoding.values() else "expected a known encoding")
        stored = await self._kept.put(
            call.caller, _pieces(first, requests), is_data_uri=first.encoding == IMAGE_ENCODING_DATA_URI
        )
        return PutImageResponse(image=_message(stored))

    async def GetImage(self, request: GetImageRequest, call: Call) -> AsyncIterator[GetImageResponse]:  # noqa: ARG002
        """Hand out an image."""
        check(name=None if request.name else "is required")
        if request.metadata_only:
            yield GetImageResponse(image=_message(await self._images.get(request.name)))
            return
        async with self._images.reading(request.name) as opened:
            yield GetImageResponse(image=_message(opened.image))
            async for chunk in opened.chunks:
                yield GetImageResponse(chunk=chunk)


async def _pieces(first: PutImageRequest, others: AsyncIterator[PutImageRequest]) -> AsyncIterator[bytes]:
    yield first.chunk
    async for request in others:
        yield request.chunk


def _message(stored: StoredImage) -> Image:
    return Image(
        name=stored.name,
        content_type=stored.content_type,
        size_bytes=stored.size_bytes,
        width=stored.width,
        height=stored.height,
        url=stored.url,
    )
