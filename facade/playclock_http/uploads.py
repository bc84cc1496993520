"""Places for bodies that are larger than others: so many at once, and of one caller fewer, whatever is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

import grpc

from playclock_http.refusal import Refusal

PLACES: Final = 8
"""How many bodies may be on their way at once. Each is held in memory up to what its reader keeps of it."""
PLACES_EACH: Final = 3
"""How many of them may be one caller's: whoever is slow leaves room for others."""
WAIT_SEC: Final = 10.0
"""How long a body may wait for its place, unread, before its sender is told to come back."""


class Uploads:
    """Gives out the places."""

    def __init__(self, places: int = PLACES, each: int = PLACES_EACH, *, wait_sec: float = WAIT_SEC) -> None:
        self._places = asyncio.Semaphore(places)
        self._each = each
        self._wait_sec = wait_sec
        self._of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """Hold a place for a caller's body. Raises Refusal (TOO_MANY_UPLOADS) where there is none in time."""
        own = self._of.get(caller)
        if own is None:
            own = self._of[caller] = asyncio.Semaphore(self._each)
        try:
            async with asyncio.timeout(self._wait_sec):
                await own.acquire()
                try:
                    await self._places.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError:
            message = "too many uploads are on their way"
            raise Refusal("TOO_MANY_UPLOADS", message, status=grpc.StatusCode.UNAVAILABLE, retry_after_sec=1) from None
        try:
            yield
        finally:
            self._places.release()
            own.release()
