"""Pictures of games, for whoever looks at them: never executed, cached for good, for what a name stands for never changes."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from playclock.v1 import image_service_pb2, image_service_pb2_grpc

from playclock_http.endpoint import Endpoint, Refuser, Stream
from playclock_http.incoming import Incoming
from playclock_http.refusal import Refusal
from playclock_http.upstream import Upstream

PATH: Final = "/images/{name}"
WHOLE_SEC: Final = 120.0
"""How long a whole image may take to whoever reads it slowly."""

_NAME: Final = re.compile(r"/images/([0-9a-f]{64}\.(?:jpg|png|gif|webp))", re.ASCII)
_TYPES: Final = {"jpg": b"image/jpeg", "png": b"image/png", "gif": b"image/gif", "webp": b"image/webp"}
_EVERY_IMAGE: Final = (
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
    # Whoever is led to one as to a page gets a picture and nothing that runs.
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    # Pages of other sites show them, whatever they isolate themselves by.
    (b"cross-origin-resource-policy", b"cross-origin"),
)


class Images:
    """Answers GET and HEAD of /images/{name}."""

    def __init__(self, upstream: Upstream) -> None:
        self._get = image_service_pb2_grpc.ImageServiceStub(upstream.channel).GetImage
        self._upstream = upstream

    def endpoints(self, refuse: Refuser) -> dict[str, Endpoint]:
        """Return the endpoints by path."""
        return {PATH: Endpoint({"GET": self.get}, refuse)}

    async def get(self, incoming: Incoming) -> Stream:
        """Answer with an image, or 304 to whoever has it. Raises Refusal, AioRpcError."""
        match = _NAME.fullmatch(incoming.path)
        if match is None:
            raise Refusal("IMAGE_NOT_FOUND", "there is no such image", status=grpc.StatusCode.NOT_FOUND)
        name = match[1]
        etag = f'"{name.partition(".")[0]}"'.encode()
        is_known = _names(incoming.every(b"if-none-match"), etag)
        answers = self._ask(incoming, name, metadata_only=is_known or incoming.method == "HEAD")
        image = (await anext(answers)).image
        headers = (*_EVERY_IMAGE, (b"etag", etag))
        if is_known or incoming.method == "HEAD":
            async for _ in answers:
                pass  # the call is over when its stream is
        if is_known:
            return Stream(304, headers)
        told = (b"content-type", _TYPES[name.partition(".")[2]]), (b"content-length", str(image.size_bytes).encode())
        return Stream(200, (*headers, *told), None if incoming.method == "HEAD" else _pieces(answers))

    def _ask(self, incoming: Incoming, name: str, *, metadata_only: bool) -> AsyncIterator[Any]:
        call = self._get(
            image_service_pb2.GetImageRequest(name=name, metadata_only=metadata_only),
            timeout=self._upstream.deadline_sec if metadata_only else max(WHOLE_SEC, self._upstream.deadline_sec),
            metadata=(("x-request-id", incoming.request_id), *self._upstream.authorization),
        )
        return aiter(call)


async def _pieces(answers: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for answer in answers:
        yield answer.chunk


def _names(conditions: list[bytes], etag: bytes) -> bool:
    """Whether an If-None-Match names the tag, or any; weakly compared, as it is to be (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix(b"W/") for condition in conditions for tag in condition.split(b",")]
    return etag in tags or tags == [b"*"]
