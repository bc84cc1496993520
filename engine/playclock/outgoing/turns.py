"""How many requests are under way at once, to one host and in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from playclock.outgoing.errors import Busy


class _Host:
    def __init__(self, per_host: int) -> None:
        self.turns = asyncio.Semaphore(per_host)
        self.callers = 0
        """How many have a turn or wait for one."""


class Turns:
    """Lets so many go at once. Who waits for a slow host takes no turn away from others."""

    def __init__(self, *, per_host: int, in_all: int) -> None:
        self._per_host = per_host
        self._all = asyncio.Semaphore(in_all)
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def turn(self, host: str, patience_sec: float) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises Busy."""
        queue = self._hosts.setdefault(host, _Host(self._per_host))
        queue.callers += 1
        try:
            async with AsyncExitStack() as taken:
                try:
                    async with asyncio.timeout(patience_sec):
                        await taken.enter_async_context(queue.turns)
                        await taken.enter_async_context(self._all)
                except TimeoutError:
                    raise Busy(f"too many requests are under way, to {host} or in all") from None
                yield
        finally:
            queue.callers -= 1
            if not queue.callers:
                del self._hosts[host]
