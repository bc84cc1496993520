"""uvicorn's HTTP protocol with an end to what it otherwise waits for and collects without one.

That is the head of a request, requests that are sent ahead of their turn, and answers that nobody takes. Bodies are
bounded by the facade, which knows what its calls need.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request takes too long, or too many bytes, to come to its headers' end.

    Also one whose client does not take its answers, or sends too many requests before it does.
    """

    head_sec: ClassVar[float] = 10.0
    head_bytes_max: ClassVar[int] = 65_536
    headers_max: ClassVar[int] = 100
    ahead_max: ClassVar[int] = 64
    """How many requests may wait for the answer to one before them."""
    answer_sec: ClassVar[float] = 30.0
    """How long answers may wait for a client that does not take them."""

    on_lost: Callable[[], None] = staticmethod(lambda: None)
    """Is called when the connection is over."""

    _head_awaited = True
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_sec, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_timer()
        self._end_answer_timer()
        self.on_lost()
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
        """Note that a request begins. What is raised here is answered 400, and the connection closed."""
        if len(self.pipeline) >= self.ahead_max:
            raise ValueError("too many requests ahead of their turn")
        self._head_awaited = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is whole."""
        if len(self.headers) > self.headers_max:
            raise ValueError("too many headers")
        self._head_awaited = False
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Wait for the client to take what it asked for, but not for ever."""
        super().pause_writing()
        if self._answer_timer is None:
            self._answer_timer = self.loop.call_later(self.answer_sec, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has taken it."""
        self._end_answer_timer()
        super().resume_writing()

    def _end_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _end_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
