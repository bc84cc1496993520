"""uvicorn's HTTP protocol with an end to what it otherwise waits for and collects without one: the head of a request.

Bodies are bounded by the facade, which knows what its calls need.
"""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request takes too long, or too many bytes, to come to its headers' end."""

    head_sec: ClassVar[float] = 10.0
    head_bytes_max: ClassVar[int] = 65_536

    _head_awaited = True
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_sec, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and look at the clock only where a head came in pieces: most come whole, and pay nothing."""
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._head_awaited:
            self._head_bytes = 0
            self._end_timer()
        elif self._head_bytes > self.head_bytes_max:
            self.transport.close()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_sec, self.transport.close)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._head_awaited = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is whole."""
        self._head_awaited = False
        super().on_headers_complete()

    def _end_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
