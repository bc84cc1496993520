"""Lets HTTP connections in: each address so many, and none that takes too long to agree on TLS.

Not asyncio's own way of accepting: that tells nobody of a connection before the end of its handshake, so whoever never comes to
that end could hold any number.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

from playclock.cli.crowd import Crowd, Place

HANDSHAKE_SEC: Final = 10.0
SHUTDOWN_SEC: Final = 2.0
"""How long the other end may take to say goodbye in TLS."""
ACCEPTED_AT_ONCE: Final = 128
PAUSE_SEC: Final = 1.0
"""How long nobody is let in when there is nothing left to hold a connection with."""
QUIET_SEC: Final = 10.0
"""How long the log has no more to say about connections that were turned away."""

_log = logging.getLogger(__name__)


class Guest(Protocol):
    """What a connection's protocol has besides asyncio's."""

    on_lost: Callable[[], None]
    """Is called once the connection is over."""


class Door:
    """A socket on which connections are let in. Closes as an asyncio server does."""

    def __init__(
        self, listener: socket.socket, make_guest: Callable[[], Any], crowd: Crowd, context: ssl.SSLContext | None
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._make_guest = make_guest
        self._crowd = crowd
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._turned_away = 0
        self._tells_at = 0.0
        self._open()

    def close(self) -> None:
        """Let nobody in any more."""
        self._loop.remove_reader(self._listener.fileno())
        if self._pause is not None:
            self._pause.cancel()
        for task in self._arriving:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when nobody is on the way in."""
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _open(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("no connection can be accepted", extra={"fields": {"cause": error.strerror}})
                self._loop.remove_reader(self._listener.fileno())
                self._pause = self._loop.call_later(PAUSE_SEC, self._open)
                return
            place = self._crowd.enter(address[0])
            if place is None:
                connection.close()
                self._tell_of_the_crowd(address[0])
                continue
            task = self._loop.create_task(self._let_in(connection, place))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _let_in(self, connection: socket.socket, place: Place) -> None:
        connection.setblocking(False)
        guest = self._make_guest()
        guest.on_lost = _once(lambda: self._crowd.leave(place))
        within = {} if self._context is None else {"ssl_handshake_timeout": HANDSHAKE_SEC, "ssl_shutdown_timeout": SHUTDOWN_SEC}
        try:
            await self._loop.connect_accepted_socket(lambda: guest, connection, ssl=self._context, **within)
        except OSError as error:  # TLS errors are some too
            guest.on_lost()
            _log.debug("a connection was not agreed on", extra={"fields": {"cause": str(error)}})
        except BaseException:
            guest.on_lost()
            raise

    def _tell_of_the_crowd(self, address: str) -> None:
        self._turned_away += 1
        if self._loop.time() >= self._tells_at:
            fields = {"address": address, "turned_away": self._turned_away}
            _log.warning("an address has too many connections", extra={"fields": fields})
            self._turned_away = 0
            self._tells_at = self._loop.time() + QUIET_SEC


def _once(act: Callable[[], None]) -> Callable[[], None]:
    acts = [act]
    return lambda: acts.pop()() if acts else None
