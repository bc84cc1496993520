"""What a blob store does. Whoever writes a name again writes the same bytes."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

CHUNK_BYTES: Final = 256 * 1024
"""How much of a blob is read at a time."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{2,127}", re.ASCII)


class BlobsError(Exception):
    """A blob store cannot be had. The sentence is for the operator."""


class BlobsUnavailable(Exception):
    """The blob store does not do what it was asked now."""


class Blob(msgspec.Struct, frozen=True):
    """A blob that is being read."""

    size_bytes: int
    chunks: AsyncIterator[bytes]


class Blobs(Protocol):
    """A blob store. Every method raises BlobsUnavailable, and ValueError for what is no name."""

    async def put(self, name: str, data: bytes) -> bool:
        """Keep a blob, for good when this returns, and say whether it is new."""

    async def size(self, name: str) -> int | None:
        """Return how many bytes a blob has; None where there is none."""

    async def remove(self, name: str) -> None:
        """Let a blob be gone. One that is not there is no error; who reads it at that moment may get all of it or a failure."""

    def reading(self, name: str) -> AbstractAsyncContextManager[Blob | None]:
        """Open a blob, to be read bit by bit; None where there is none."""

    async def close(self) -> None:
        """Let go of what is held."""


def check_name(name: str) -> str:
    """Return the name. Raises ValueError for what no store takes: it could be a path."""
    if not _NAME.fullmatch(name):
        raise ValueError("no name of a blob")
    return name
