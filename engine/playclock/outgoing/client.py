"""The client: a request in, an answer or one of the errors out, within a deadline over all of it."""

import asyncio
import logging
import ssl
from collections.abc import Iterable
from functools import cache

import h11
import msgspec

from playclock.outgoing.addresses import Guard
from playclock.outgoing.connecting import connect, system_trust
from playclock.outgoing.errors import NoAddress, OutgoingError, RefusedAddress, TimedOut, TooLarge
from playclock.outgoing.exchange import Exchange, Head, head_of
from playclock.outgoing.messages import Answer, Request
from playclock.outgoing.resolving import Resolve, SystemResolver
from playclock.outgoing.turns import Turns
from playclock.outgoing.urls import Target, parse

_log = logging.getLogger(__name__)
_shared_trust = cache(system_trust)  # to read the system's authorities takes 50 ms of a start


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much a request may take."""

    deadline_ms: int = 5000
    """Over all: the wait for a turn, the resolver, connecting, TLS, sending and receiving."""
    request_bytes_max: int = 262_144
    answer_bytes_max: int = 262_144
    """Of the body."""
    head_bytes_max: int = 16_384
    """Of the answer's head: its first line and its headers."""
    per_host: int = 8
    """How many requests to one host are under way at once."""
    in_all: int = 64
    """How many are under way at once."""


class OutgoingClient:
    """Makes requests to addresses that strangers may have chosen. One for a process; `close` it at the end.

    Each request has a connection of its own. No cookies, no redirects, no proxies or passwords from the environment.
    """

    def __init__(
        self,
        networks: Iterable[str] = (),
        *,
        bounds: Bounds | None = None,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the networks that may be called although they are private, in CIDR notation, by http too. Raises ValueError.

        `resolve` stands for the system's resolver, `tls` for what receivers are checked by: all clients of a process share one,
        which is read once.
        """
        self._guard = Guard(networks)
        self._bounds = bounds or Bounds()
        self._system = SystemResolver()
        self._resolve: Resolve = resolve or self._system
        self._tls = tls or _shared_trust()
        self._turns = Turns(per_host=self._bounds.per_host, in_all=self._bounds.in_all)

    def close(self) -> None:
        """Let go of the resolver's threads."""
        self._system.close()

    async def send(self, request: Request) -> Answer:
        """Make a request, once, and return the answer, whatever its status.

        Raises OutgoingError, which says by `is_sent` whether the receiver may have done what was asked, and ValueError for a
        header that cannot be sent.
        """
        target = parse(request.url)
        head = head_of(target, request)
        if len(request.body) > self._bounds.request_bytes_max:
            raise TooLarge(f"the request's body is longer than {self._bounds.request_bytes_max} bytes")
        try:
            return await self._within_deadline(target, head, request.body)
        except OutgoingError as error:
            level = logging.WARNING if isinstance(error, RefusedAddress) else logging.INFO
            _log.log(level, "outgoing request to %s: %s: %s; %s", target.authority, error.reason, error, error.detail or "-")
            raise

    async def _within_deadline(self, target: Target, head: h11.Request, body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        began_sec = loop.time()
        deadline_sec = began_sec + self._bounds.deadline_ms / 1000
        exchange = Exchange(
            target.host, head_bytes_max=self._bounds.head_bytes_max, body_bytes_max=self._bounds.answer_bytes_max
        )
        try:
            # A turn may take half of the time, so that the other half is left for whoever gets it.
            async with asyncio.timeout_at(deadline_sec), self._turns.turn(target.host, self._bounds.deadline_ms / 2000):
                answered, content = await self._call(target, exchange, head, body, deadline_sec)
        except TimeoutError:
            raise TimedOut(
                f"{target.host} did not answer within {self._bounds.deadline_ms} ms",
                is_sent=exchange.is_sent,
                status=exchange.status,
            ) from None
        duration_ms = round((loop.time() - began_sec) * 1000)
        return Answer(status=answered.status, headers=answered.headers, body=content, duration_ms=duration_ms)

    async def _call(
        self, target: Target, exchange: Exchange, head: h11.Request, body: bytes, deadline_sec: float
    ) -> tuple[Head, bytes]:
        addresses = await self._addresses_of(target)
        streams = await connect(target, addresses, self._tls, deadline_sec)
        try:
            return await exchange.run(streams, head, body)
        finally:
            # Not closed in peace: a receiver that never says goodbye would hold the connection.
            streams[1].transport.abort()

    async def _addresses_of(self, target: Target) -> list[str]:
        if target.address is not None:
            return self._guard.check(target, [target.address])
        try:
            answers = await self._resolve(target.host, target.port)
        except OSError as error:
            raise NoAddress(f"{target.host} has no address", detail=str(error)) from error
        return self._guard.check(target, answers)
