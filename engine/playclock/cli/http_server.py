"""The HTTP facade under uvicorn, as one part of a process that has others: signals and sockets are not uvicorn's here."""

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import Iterator
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp

from playclock.cli.addresses import Address
from playclock.cli.crowd import Crowd
from playclock.cli.http_door import Door
from playclock.cli.http_protocol import BoundedHttpProtocol

CONCURRENCY_MAX: Final = 16_384
"""Connections and requests beyond it are answered 503, so that a flood costs memory up to here and no further."""
KEEP_ALIVE_SEC: Final = 75
"""How long an idle connection is kept: longer than the 60 s after which common proxies drop theirs, so that none is closed
under a proxy's request."""
HURRY_SEC: Final = 1.0
REPEAT_SEC: Final = 10.0
"""How long uvicorn waits before it logs the same once more: a stranger decides how often it has reason to."""


class HttpServer:
    """A facade that listens."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, address: Address, crowd: Crowd, context: ssl.SSLContext | None
    ) -> None:
        self.address = Address(address.host, listener.getsockname()[1])
        logging.getLogger("uvicorn.error").addFilter(_NOT_TOO_OFTEN)  # the same one each time: it is added once
        self._server = _Server(
            uvicorn.Config(
                app,
                http=BoundedHttpProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # the facade believes only the proxies that the settings name
                server_header=False,
                limit_concurrency=CONCURRENCY_MAX,
                timeout_keep_alive=KEEP_ALIVE_SEC,
            ),
            crowd,
            context,
        )
        self.stopped = asyncio.create_task(self._server.serve(sockets=[listener]), name="playclock http")

    @classmethod
    async def start(
        cls,
        app: ASGIApp,
        listener: socket.socket,
        address: Address,
        *,
        crowd: Crowd | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Self:
        """Serve the app on a bound socket, in TLS where there is a context, and return when it does."""
        server = cls(app, listener, address, crowd or Crowd(), context)
        listening = asyncio.create_task(server._server.listening.wait())
        await asyncio.wait({listening, server.stopped}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if server.stopped.done():
            await server.stopped
        return server

    async def drain(self, grace_sec: float) -> None:
        """Accept nothing more, finish the requests that are under way within the grace, and close."""
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_sec) or None
        self._server.force_exit = not grace_sec
        self._server.should_exit = True
        await asyncio.wait({self.stopped}, timeout=None if grace_sec else HURRY_SEC)
        self.stopped.cancel()


class _NotTooOften(logging.Filter):
    """Lets each message through once in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the message is to be logged."""
        if record.levelno >= logging.ERROR:
            return True
        is_due = record.created - self._told.get(str(record.msg), -math.inf) >= REPEAT_SEC
        if is_due:
            self._told[str(record.msg)] = record.created
        return is_due


_NOT_TOO_OFTEN: Final = _NotTooOften()


class _Server(uvicorn.Server):
    """A uvicorn server with a door of ours, that leaves the signals alone and says when it listens."""

    def __init__(self, config: uvicorn.Config, crowd: Crowd, context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._crowd = crowd
        self._context = context

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. uvicorn's own way knows no limit per address, and waits a minute for a handshake."""
        doors = [Door(listener, self._make_protocol, self._crowd, self._context) for listener in sockets or ()]
        self.servers = doors  # type: ignore[assignment]  # it only closes them
        self.started = True
        self.listening.set()

    def _make_protocol(self) -> BoundedHttpProtocol:
        return BoundedHttpProtocol(self.config, self.server_state, app_state={})
