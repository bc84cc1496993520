"""Blobs in a bucket of S3, or of what speaks like it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta

from obstore.exceptions import BaseError
from obstore.store import S3Store

from playclock.blobs.base import CHUNK_BYTES, Blob, BlobsUnavailable, check_name


class S3Blobs:
    """Holds blobs in a bucket. Who may use it, and in which region it lies, the AWS_... variables say."""

    def __init__(self, bucket: str, *, prefix: str = "", endpoint: str | None = None, region: str | None = None) -> None:
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            endpoint=endpoint,
            region=region,
            client_options={
                "allow_http": endpoint is not None and endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=2),
                "timeout": timedelta(seconds=30),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        )

    async def put(self, name: str, data: bytes) -> bool:
        """Keep a blob, and say whether it is new."""
        if await self.size(name) == len(data):
            return False
        with _telling():
            await self._store.put_async(name, data)
        return True

    async def size(self, name: str) -> int | None:
        """Return how many bytes a blob has; None where there is none."""
        check_name(name)
        with _telling():
            try:
                return (await self._store.head_async(name))["size"]
            except FileNotFoundError:
                return None

    async def remove(self, name: str) -> None:
        """Let a blob be gone."""
        check_name(name)
        with _telling(), suppress(FileNotFoundError):
            await self._store.delete_async(name)

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Blob | None]:
        """Open a blob; None where there is none."""
        check_name(name)
        with _telling():
            try:
                result = await self._store.get_async(name)
            except FileNotFoundError:
                result = None
        yield None if result is None else Blob(result.meta["size"], _pieces(result.stream(CHUNK_BYTES)))

    async def close(self) -> None:
        """Do nothing: connections end by themselves."""


async def _pieces(stream: AsyncIterator[object]) -> AsyncIterator[bytes]:
    with _telling():
        async for piece in stream:
            yield bytes(piece)  # type: ignore[call-overload] # a buffer


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise BlobsUnavailable(f"the bucket of blobs: {type(error).__name__}") from error
