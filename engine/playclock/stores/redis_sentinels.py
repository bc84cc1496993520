"""A master behind Sentinels."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from playclock.stores.base import StoreUnavailable
from playclock.stores.redis_link import Address, Link, Login
from playclock.stores.redis_once import Once
from playclock.stores.redis_server import Server
from playclock.stores.redis_wire import Traffic

SENTINEL_SEC: Final = 0.5

_log = logging.getLogger(__name__)


class SentinelLogin(msgspec.Struct, frozen=True, kw_only=True):
    """How the Sentinels themselves are spoken to, which need not be how their master is."""

    username: str | None = None
    password: str | None = None
    is_tls: bool = False
    ca: str | None = None
    """A file with the certificate authorities to believe, and no others; None for those of this machine."""

    def __repr__(self) -> str:
        return f"SentinelLogin(username={self.username!r}, password=***, is_tls={self.is_tls}, ca={self.ca!r})"

    def options(self) -> dict[str, Any]:
        """Return this as redis-py calls it."""
        said: dict[str, Any] = {"username": self.username, "password": self.password}
        return {**said, "ssl": True, "ssl_ca_certs": self.ca} if self.is_tls else said


class Sentinels:
    """The master that a majority of Sentinels agrees on holds everything."""

    are_slots_apart = False

    def __init__(self, addresses: Sequence[Address], service: str, login: Login, sentinel_login: SentinelLogin) -> None:
        self.traffic = Traffic()
        # One repeat, for a connection that the Sentinel has closed meanwhile. Longer ones would keep callers waiting.
        retry = Retry(NoBackoff(), 1)
        timeouts = {"socket_timeout": SENTINEL_SEC, "socket_connect_timeout": SENTINEL_SEC, "retry": retry}
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            addresses, sentinel_kwargs={**timeouts, **sentinel_login.options()}
        )
        self._service = service
        self._login = login
        self._server: Server | None = None
        self._refreshing = Once(self._refresh, "playclock redis sentinels")

    def ready(self, partition: int) -> Link | None:  # noqa: ARG002 - all partitions lie in one place
        """Return the connection to the master, if there is one."""
        return None if self._server is None else self._server.ready()

    async def link(self, partition: int) -> Link:  # noqa: ARG002 - all partitions lie in one place
        """Return a connection to the master. Raises StoreUnavailable."""
        if self._server is None:
            await self.refresh()
        assert self._server is not None
        try:
            return await self._server.link()
        except StoreUnavailable:
            await self.refresh()
            return await self._server.link()

    async def link_to(self, address: Address) -> Link:
        """Refuse to follow a server that is no part of a Cluster. Raises StoreUnavailable."""
        raise StoreUnavailable(f"Redis leads to {address[0]}:{address[1]}, as in a Cluster: name it redis+cluster://")

    async def refresh(self) -> None:
        """Ask all Sentinels who is master: of several answers the one from the latest vote. Raises StoreUnavailable."""
        await self._refreshing.run()

    async def _refresh(self) -> None:
        answers = await asyncio.gather(*map(self._named, self._sentinel.sentinels))
        _, host, port = max((answer for answer in answers if not isinstance(answer, str)), default=(0, "", 0))
        if not host:
            raise StoreUnavailable(f"no Sentinel names a master: {answers[0]}")
        if self._server is None or self._server.address != (host, port):
            _log.info("the Sentinels name a master", extra={"fields": {"host": host, "port": port}})
            if self._server is not None:
                self._server.close()
            self._server = Server((host, port), self._login, self.traffic, is_master=True)

    async def check(self) -> None:
        """Leave the master if it is none any more, or if the Sentinels name another one: it may not know yet."""
        with contextlib.suppress(StoreUnavailable):
            await self.refresh()
        if self._server is not None:
            await self._server.check()

    async def _named(self, client: Redis) -> tuple[int, str, int] | str:
        """Return a Sentinel's vote, and the host and port of its master; or why it names none."""
        try:
            state: Any = await client.sentinel_master(self._service)
        except (RedisError, OSError) as error:
            return str(error)
        if state["is_sdown"] or state["is_odown"] or not state["is_master"]:
            return "the one that it watches is down"
        return int(state["config-epoch"]), state["ip"], int(state["port"])

    async def close(self) -> None:
        """Let go of all connections."""
        self._refreshing.cancel()
        if self._server is not None:
            self._server.close()
        for client in self._sentinel.sentinels:
            await client.aclose()
