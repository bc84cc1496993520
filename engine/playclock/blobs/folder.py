"""Blobs as files in a folder. A file appears whole or not at all, and stays when the machine stops."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from playclock.blobs.base import CHUNK_BYTES, Blob, BlobsError, BlobsUnavailable, check_name

T = TypeVar("T")


class FolderBlobs:
    """Holds blobs in a folder, in folders of their first two characters. Processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Make the folder where there is none. Raises BlobsError where it is of no use."""

        def try_out() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()

        try:
            await asyncio.to_thread(try_out)
        except OSError as error:
            raise BlobsError(f"the folder of blobs {folder} cannot be used: {error.strerror}") from None
        return cls(folder)

    async def put(self, name: str, data: bytes) -> bool:
        """Keep a blob, and say whether it is new."""
        path = self._path(name)
        return await _in_a_thread(lambda: _put(path, data))

    async def size(self, name: str) -> int | None:
        """Return how many bytes a blob has; None where there is none."""
        path = self._path(name)
        return await _in_a_thread(lambda: _size(path))

    async def remove(self, name: str) -> None:
        """Let a blob be gone. Who reads it goes on to its end."""
        path = self._path(name)
        await _in_a_thread(lambda: path.unlink(missing_ok=True))

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Blob | None]:
        """Open a blob; None where there is none."""
        path = self._path(name)
        file = await _in_a_thread(lambda: _open(path))
        if file is None:
            yield None
            return
        try:
            yield Blob(os.fstat(file.fileno()).st_size, _pieces(file))
        finally:
            file.close()

    async def close(self) -> None:
        """Do nothing: files are closed one by one."""

    def _path(self, name: str) -> Path:
        return self._folder / check_name(name)[:2] / name


async def _in_a_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise BlobsUnavailable(f"the folder of blobs: {error.strerror}") from error


def _put(path: Path, data: bytes) -> bool:
    if _size(path) == len(data):
        return False
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
        try:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
            Path(part.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(part.name).unlink()
            raise
    for folder in (path.parent, path.parent.parent):
        _sync(folder)
    return True


def _sync(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await _in_a_thread(lambda: file.read(CHUNK_BYTES)):
        yield piece
