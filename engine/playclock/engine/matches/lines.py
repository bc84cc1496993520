"""How a match client's server can be reached: how many messages are on the way to it, and how many may wait for that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from playclock.core.breaker import FAILURES_MAX
from playclock.core.delivery import BUSY_MS, Tried, Verdict

PER_CLIENT: Final = 8
"""How many messages to one client's server are under way at once: one, as long as it does not answer."""
WAITING_MAX: Final = 200
WAITING_MAX_FAILING: Final = 3
"""How many wait for that, or are under way: as many as may come to their turn before their lease is over."""
FAILING_PAUSE_MS: Final = 60_000
"""After how long there may be room for one that found none, where the server does not answer: that many are not written more
often."""


class Line:
    """The line of messages to one server."""

    def __init__(self) -> None:
        self.waiting = 0
        """How many wait, or are under way."""
        self._turns = asyncio.Semaphore(PER_CLIENT)
        self._trial = asyncio.Lock()
        """Is held by the one try at a time while the server does not answer, so that it takes no place from others."""
        self._failures = 0
        """How many tries in a row had no answer."""

    @property
    def is_crowded(self) -> bool:
        """Whether more wait than may come to their turn."""
        return self.waiting > self._room

    @property
    def wait_ms(self) -> int:
        """Return after how long there may be room for one more; 0 where there is."""
        if self.waiting < self._room:
            return 0
        return FAILING_PAUSE_MS if self._is_failing else BUSY_MS

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        async with AsyncExitStack() as taken:
            await taken.enter_async_context(self._turns)
            if self._is_failing:
                await taken.enter_async_context(self._trial)
            yield

    def note(self, outcome: Tried) -> None:
        """Note what came of a try; not that there was none, because the server wants nothing more."""
        if outcome.verdict is Verdict.GONE and not outcome.status:
            return
        self._failures = 0 if outcome.status else self._failures + 1

    @property
    def _is_failing(self) -> bool:
        return self._failures >= FAILURES_MAX

    @property
    def _room(self) -> int:
        return WAITING_MAX_FAILING if self._is_failing else WAITING_MAX
