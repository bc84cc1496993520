"""How a server is told to stop: SIGTERM or SIGINT once to finish what is under way, twice to hurry."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

DRAIN_SEC: Final = 10.0
"""How long calls that are under way may take to finish. Orchestrators kill after 30 s by default."""

Part = Callable[[float], Awaitable[None]]
"""Finishes one part of a server within so many seconds; called again with 0, at once."""

_log = logging.getLogger(__name__)


class Stopping:
    """Hears the signals of one server."""

    def __init__(self, *, supervised: bool = False) -> None:
        """Listen from now on. A signal that comes before `ready` cancels the current task.

        Where a supervisor holds the other end of stdin, its end is such a signal: nobody would stop us any more.
        """
        self.requested = asyncio.Event()
        self._hurried = asyncio.Event()
        self._starting = asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._hear)
        if supervised:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._abandoned)

    def ready(self) -> None:
        """Say that the server has started: from now on a signal is no reason to give up."""
        self._starting = None

    async def wait(self, server: asyncio.Task[None]) -> None:
        """Return at the first signal. Raises what ended the server, if that comes before."""
        requested = asyncio.create_task(self.requested.wait())
        await asyncio.wait({requested, server}, return_when=asyncio.FIRST_COMPLETED)
        requested.cancel()
        if server.done():
            await server

    async def drain(self, *parts: Part) -> None:
        """Let the parts finish, together, within the seconds that each is told; after a second signal, at once."""
        finishing = asyncio.create_task(_finish(parts, DRAIN_SEC))
        hurried = asyncio.create_task(self._hurried.wait())
        tasks: set[asyncio.Task[Any]] = {finishing, hurried}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not finishing.done():
            await _finish(parts, 0)
        await finishing

    def _abandoned(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._hear()

    def _hear(self) -> None:
        if self.requested.is_set():
            self._hurried.set()
        self.requested.set()
        if self._starting is not None:
            self._starting.cancel()


@contextlib.contextmanager
def stoppable(*, supervised: bool = False) -> Iterator[Stopping]:
    """Hear signals while a server starts and runs. One that comes before it is ready ends it, and is no failure."""
    stopping = Stopping(supervised=supervised)
    try:
        yield stopping
    except asyncio.CancelledError:
        if not stopping.requested.is_set():
            raise
        _log.info("stopped before it was ready")


async def _finish(parts: Sequence[Part], grace_sec: float) -> None:
    await asyncio.gather(*(part(grace_sec) for part in parts))
