"""One connection of the load generator: a closed loop, in which every answer asks for the next request.

The generator shares the machine with the server that it measures, so it may cost next to nothing: requests are bytes that
were made beforehand, and of the answers only what says that they are good is read.
"""

import asyncio
from abc import abstractmethod
from typing import cast


class Connection(asyncio.Protocol):
    """Keeps `width` requests under way while it runs, and counts the answers."""

    def __init__(self, width: int) -> None:
        self.answered = 0
        self.idle = asyncio.Event()
        """Set while nothing is under way."""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with what went wrong; the measurement is worth nothing then."""
        self.lost.add_done_callback(lambda lost: lost.cancelled() or lost.exception())
        self._width = width
        self._under_way = 0
        self._running = False
        self._transport: asyncio.Transport
        self.idle.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits."""
        self.fail(f"the connection broke off: {exc or 'closed by the server'}")

    def start(self) -> None:
        """Send the first requests."""
        self._running = True
        self._under_way = self._width
        self.idle.clear()
        self._transport.write(b"".join([self.request() for _ in range(self._width)]))

    def stop(self) -> None:
        """Send no more. What is under way is still answered."""
        self._running = False

    def close(self) -> None:
        """Let go of the socket."""
        self.lost.cancel()
        self._transport.abort()

    def take(self, answers: int) -> None:
        """Count answers and send as many requests, together with whatever else has to be sent."""
        self.answered += answers
        if self._running:
            self._transport.write(b"".join([self.request() for _ in range(answers)]))
            return
        self._under_way -= answers
        if not self._under_way:
            self.idle.set()

    def fail(self, problem: str) -> None:
        """End the measurement."""
        if not self.lost.done():
            self.lost.set_exception(ConnectionError(problem))

    @abstractmethod
    def request(self) -> bytes:
        """Return the next request as it goes over the wire."""
