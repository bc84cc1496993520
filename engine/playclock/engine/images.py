"""Pictures of games, as the engine's users ask for them. What keeps them is `playclock.images`, which needs extras."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import msgspec

from playclock import errors
from playclock.errors import ImageNotFound


class StoredImage(msgspec.Struct, frozen=True):
    """A picture that is kept."""

    name: str
    content_type: str
    size_bytes: int
    url: str
    width: int = 0
    height: int = 0
    """Both 0 where nobody has looked into it."""


class OpenImage(msgspec.Struct, frozen=True):
    """A picture that is being read."""

    image: StoredImage
    chunks: AsyncIterator[bytes]


Note = Callable[[str], Awaitable[None]]
"""Is told the name of an image before that is stored."""


class Images(Protocol):
    """Keeps pictures."""

    async def put(self, chunks: AsyncIterator[bytes], *, is_data_uri: bool, note: Note) -> StoredImage:
        """Keep a picture that arrives bit by bit.

        Raises InvalidImage, BadRequest, NoImages, ImagesAway, and what `note` raises.
        """

    async def remove(self, name: str) -> None:
        """Keep what lies under a name no more, if there is something. Raises ImagesAway."""

    async def get(self, name: str) -> StoredImage:
        """Return what is kept under a name. Raises ImageNotFound, ImagesAway."""

    def reading(self, name: str) -> AbstractAsyncContextManager[OpenImage]:
        """Open what is kept under a name. Raises ImageNotFound, ImagesAway."""

    def outcomes(self) -> Mapping[str, int]:
        """Return how many pictures that were offered were "stored", "known", or refused for which problem."""


class NoImages:
    """Keeps none."""

    async def put(self, chunks: AsyncIterator[bytes], *, is_data_uri: bool, note: Note) -> StoredImage:  # noqa: ARG002
        """Raise NoImages."""
        raise errors.NoImages("this server keeps no images: its operator names a place for them by --blobs")

    async def remove(self, name: str) -> None:  # noqa: ARG002
        """Raise ImagesAway: a server that keeps none cannot tell what another one keeps."""
        raise errors.ImagesAway("this server keeps no images")

    async def get(self, name: str) -> StoredImage:  # noqa: ARG002
        """Raise ImageNotFound."""
        raise ImageNotFound("there is no such image")

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[OpenImage]:
        """Raise ImageNotFound."""
        await self.get(name)
        yield  # type: ignore[misc] # never reached

    def outcomes(self) -> Mapping[str, int]:
        """Return nothing: nothing is kept or refused."""
        return {}
