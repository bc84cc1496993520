"""The feed: what happens to sessions, told in order, from a cursor on.

A cursor is how far the watcher has read in each partition's outbox. It names no process, so any replica goes on from it.
"""

import asyncio
import base64
import binascii
import itertools
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from playclock.core.outbox import decode
from playclock.core.records import SessionEvent
from playclock.engine.context import Context
from playclock.errors import BadRequest, CursorExpired, ShuttingDown, StoreAway
from playclock.stores.base import PARTITIONS, StoredEvent, StoreUnavailable

POLL_SEC: Final = 0.25
"""How long an event of another process may go unnoticed. Those of this process wake the watchers at once."""
PAGE: Final = 500

_POSITIONS: Final = msgspec.msgpack.Decoder(dict[int, int])


class Told(msgspec.Struct, frozen=True):
    """An event, and the cursor right after it. Without an event the cursor alone has moved on."""

    event: SessionEvent | None
    cursor: str


class Feed:
    """Hands the outbox to whoever watches."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news: set[asyncio.Event] = set()
        self._closed = False

    def wake(self) -> None:
        """Tell the watchers of this process that there may be something new."""
        for news in self._news:
            news.set()

    def close(self) -> None:
        """End all watches, those to come as well."""
        self._closed = True
        self.wake()

    async def watch(
        self, *, cursor: str = "", game_id: str | None = None, session_id: str | None = None
    ) -> AsyncIterator[Told]:
        """Yield the cursor to begin with, then every event after it as it happens, of one game or session if named.

        Ends only with its consumer. Raises BadRequest for what is no cursor, CursorExpired, StoreAway, ShuttingDown.
        """
        news = asyncio.Event()
        self._news.add(news)
        try:
            asked = _parse(cursor) if cursor else None
            heads = await self._heads()
            positions = dict(heads) if asked is None else asked
            if any(sequence > heads.get(partition, 0) for partition, sequence in positions.items()):
                raise CursorExpired("the cursor is ahead of this store")
            yield Told(None, _print(positions))
            for turn in itertools.count():
                if self._closed:
                    raise ShuttingDown("the server is stopping")
                news.clear()
                events = await self._read(positions, first=turn % PARTITIONS)
                for stored in events:
                    if stored.sequence != positions.get(stored.partition, 0) + 1:
                        raise CursorExpired("events after the cursor are no longer kept")
                    positions[stored.partition] = stored.sequence
                    event = decode(stored.data)
                    if not isinstance(event, SessionEvent):
                        continue  # money's own events are the archive's business
                    session = event.session
                    if (game_id is None or session.game_id == game_id) and (session_id is None or session.id == session_id):
                        yield Told(event, _print(positions))
                if not events:
                    # What there was when the watch began has been read by now, or is gone.
                    if any(sequence > positions.get(partition, 0) for partition, sequence in heads.items()):
                        raise CursorExpired("events after the cursor are no longer kept")
                    await _wait(news)
        finally:
            self._news.discard(news)

    async def _heads(self) -> dict[int, int]:
        try:
            return await self._context.records.store.heads()
        except StoreUnavailable as error:
            raise StoreAway("the store cannot be reached") from error

    async def _read(self, positions: dict[int, int], *, first: int) -> list[StoredEvent]:
        """Return a page of what is next, each time from another partition on, so that a busy one cannot starve the rest."""
        order = (*range(first, PARTITIONS), *range(first))
        after = {partition: positions.get(partition, 0) for partition in order}
        try:
            return await self._context.records.store.events(after, PAGE)
        except StoreUnavailable as error:
            raise StoreAway("the store cannot be reached") from error


async def _wait(news: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SEC):
            await news.wait()
    except TimeoutError:
        return


def _print(positions: dict[int, int]) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(positions)).decode().rstrip("=")


def _parse(cursor: str) -> dict[int, int]:
    """Read a cursor. Raises BadRequest."""
    try:
        positions = _POSITIONS.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest({"cursor": "not a cursor of this service"}) from error
    if not all(0 <= partition < PARTITIONS and 0 <= sequence < 1 << 63 for partition, sequence in positions.items()):
        raise BadRequest({"cursor": "not a cursor of this service"})
    return positions
