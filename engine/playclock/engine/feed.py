"""The feed: what happens to sessions and matches, told in order, from a cursor on.

A cursor is how far the watcher has read in each partition's outbox, and of which epochs of the store. It names no process, so
any replica goes on from it. In another epoch events may lie in another order than they were told, so it is good no more.
"""

import asyncio
import base64
import binascii
import itertools
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final, Generic, TypeVar

import msgspec

from playclock.core.outbox import decode
from playclock.core.records import SessionEvent
from playclock.engine.context import Context
from playclock.errors import BadRequest, CursorExpired, ShuttingDown
from playclock.stores.base import PARTITIONS, StoredEvent, StoreUnavailable

POLL_SEC: Final = 0.25
"""How long an event of another process may go unnoticed. Those of this process wake the watchers at once."""
PAGE: Final = 500

_MARK_BYTES: Final = 8

T = TypeVar("T")


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """How far a watcher has read."""

    positions: dict[int, int]
    mark: bytes
    """Stands for the epochs of all partitions."""


_CURSORS: Final = msgspec.msgpack.Decoder(Cursor)


class Told(msgspec.Struct, Generic[T], frozen=True):
    """An event, and the cursor right after it. Without an event the cursor alone has moved on."""

    event: T | None
    cursor: str


class Feed:
    """Hands the outbox to whoever watches."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news: set[asyncio.Event] = set()
        self._closed = False

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return len(self._news)

    def wake(self) -> None:
        """Tell the watchers of this process that there may be something new."""
        for news in self._news:
            news.set()

    def close(self) -> None:
        """End all watches, those to come as well."""
        self._closed = True
        self.wake()

    def watch(
        self, *, cursor: str = "", game_id: str | None = None, session_id: str | None = None
    ) -> AsyncGenerator[Told[SessionEvent], None]:
        """Watch sessions, of one game or one alone if named. Raises as `follow`."""

        def is_wanted(event: SessionEvent) -> bool:
            session = event.session
            return (game_id is None or session.game_id == game_id) and (session_id is None or session.id == session_id)

        return self.follow(SessionEvent, is_wanted, cursor=cursor)

    async def follow(self, kind: type[T], is_wanted: Callable[[T], bool], *, cursor: str = "") -> AsyncGenerator[Told[T], None]:
        """Yield the cursor to begin with, then every event after it as it happens, of one kind and if it is wanted.

        Ends only with its consumer. Raises BadRequest for what is no cursor, CursorExpired, StoreAway, ShuttingDown.
        """
        news = asyncio.Event()
        self._news.add(news)
        try:
            epochs, heads, positions = await self._begin(cursor)
            mark = _mark(epochs)
            yield Told(None, _print(positions, mark))
            for turn in itertools.count():
                if self._closed:
                    raise ShuttingDown("the server is stopping")
                news.clear()
                events = await self._read(positions, first=turn % PARTITIONS)
                await self._check_epochs(epochs, {stored.partition for stored in events} or range(PARTITIONS))
                for stored in events:
                    if stored.sequence != positions.get(stored.partition, 0) + 1:
                        raise CursorExpired("events after the cursor are no longer kept")
                    positions[stored.partition] = stored.sequence
                    event = decode(stored.data)
                    if isinstance(event, kind) and is_wanted(event):
                        yield Told(event, _print(positions, mark))
                if not events:
                    # What there was when the watch began has been read by now, or is gone.
                    if any(sequence > positions.get(partition, 0) for partition, sequence in heads.items()):
                        raise CursorExpired("events after the cursor are no longer kept")
                    await _wait(news)
        finally:
            self._news.discard(news)

    async def _begin(self, cursor: str) -> tuple[dict[int, str], dict[int, int], dict[int, int]]:
        """Return the epochs, the last sequences, and those after which the watch begins. Raises as `watch`."""
        asked = _parse(cursor) if cursor else None
        epochs, heads = await self._epochs(range(PARTITIONS)), await self._heads()
        if asked is None:
            return epochs, heads, dict(heads)
        if asked.mark != _mark(epochs):
            raise _began_anew()
        if any(sequence > heads.get(partition, 0) for partition, sequence in asked.positions.items()):
            raise CursorExpired("the cursor is ahead of this store")
        return epochs, heads, dict(asked.positions)

    async def _heads(self) -> dict[int, int]:
        try:
            return await self._context.records.store.heads()
        except StoreUnavailable as error:
            raise self._context.records.away() from error

    async def _epochs(self, partitions: Iterable[int]) -> dict[int, str]:
        store = self._context.records.store
        try:
            return {partition: await store.epoch(partition) for partition in partitions}
        except StoreUnavailable as error:
            raise self._context.records.away() from error

    async def _check_epochs(self, epochs: Mapping[int, str], partitions: Iterable[int]) -> None:
        """Make sure that what was read lies in the epochs in which the watch began. Raises CursorExpired, StoreAway."""
        for partition, epoch in (await self._epochs(partitions)).items():
            if epoch != epochs[partition]:
                raise _began_anew()

    async def _read(self, positions: dict[int, int], *, first: int) -> list[StoredEvent]:
        """Return a page of what is next, each time from another partition on, so that a busy one cannot starve the rest."""
        order = (*range(first, PARTITIONS), *range(first))
        after = {partition: positions.get(partition, 0) for partition in order}
        try:
            return await self._context.records.store.events(after, PAGE)
        except StoreUnavailable as error:
            raise self._context.records.away() from error


async def _wait(news: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SEC):
            await news.wait()
    except TimeoutError:
        return


def _began_anew() -> CursorExpired:
    return CursorExpired(
        "the store has failed over or was started anew, and may have lost events or have them in another order"
    )


def _mark(epochs: Mapping[int, str]) -> bytes:
    """Return what stands for the epochs in a cursor."""
    return sha256("/".join(epochs[partition] for partition in range(PARTITIONS)).encode()).digest()[:_MARK_BYTES]


def _print(positions: dict[int, int], mark: bytes) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(Cursor(positions, mark))).decode().rstrip("=")


def _parse(cursor: str) -> Cursor:
    """Read a cursor. Raises BadRequest."""
    try:
        read = _CURSORS.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest({"cursor": "not a cursor of this service"}) from error
    if not all(0 <= partition < PARTITIONS and 0 <= sequence < 1 << 63 for partition, sequence in read.positions.items()):
        raise BadRequest({"cursor": "not a cursor of this service"})
    return read
