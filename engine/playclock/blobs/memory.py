"""Blobs in memory, for tests and embedding."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playclock.blobs.base import CHUNK_BYTES, Blob, check_name


class MemoryBlobs:
    """Holds blobs for as long as the process lives."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    async def put(self, name: str, data: bytes) -> bool:
        """Keep a blob, and say whether it is new."""
        is_new = check_name(name) not in self._blobs
        self._blobs[name] = data
        return is_new

    async def size(self, name: str) -> int | None:
        """Return how many bytes a blob has; None where there is none."""
        data = self._blobs.get(check_name(name))
        return None if data is None else len(data)

    async def remove(self, name: str) -> None:
        """Let a blob be gone."""
        self._blobs.pop(check_name(name), None)

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Blob | None]:
        """Open a blob; None where there is none."""
        data = self._blobs.get(check_name(name))
        yield None if data is None else Blob(len(data), _pieces(data))

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]
