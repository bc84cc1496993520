"""One attempt at a time: all who need the same thing at the same time wait for the same attempt."""

import asyncio
from collections.abc import Awaitable, Callable

from playclock.stores.base import StoreUnavailable


class Once:
    """Runs an attempt that may raise StoreUnavailable, once for all who ask for it while it runs."""

    def __init__(self, attempt: Callable[[], Awaitable[None]], name: str) -> None:
        self._attempt = attempt
        self._name = name
        self._running: asyncio.Task[StoreUnavailable | None] | None = None

    async def run(self) -> None:
        """Wait for the attempt that runs, or begin one. Raises StoreUnavailable.

        A caller who is cancelled does not cancel it, and who waits when it is cancelled is told that it failed.
        """
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name=self._name)
        running = self._running
        await asyncio.wait([running])
        failure = StoreUnavailable("the store has been closed") if running.cancelled() else running.result()
        if failure is not None:
            raise StoreUnavailable(*failure.args) from failure

    def cancel(self) -> None:
        """Give up."""
        if self._running is not None:
            self._running.cancel()

    async def _run(self) -> StoreUnavailable | None:
        try:
            await self._attempt()
        except StoreUnavailable as failure:
            return failure
        finally:
            self._running = None
        return None
