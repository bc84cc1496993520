"""A master behind Sentinels."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from playclock.stores.base import StoreUnavailable
from playclock.stores.redis_link import Address, Link, Login
from playclock.stores.redis_once import Once
from playclock.stores.redis_server import Server

SENTINEL_SEC: Final = 0.5

_log = logging.getLogger(__name__)


class Sentinels:
    """The master that a majority of Sentinels agrees on holds everything."""

    are_slots_apart = False

    def __init__(self, addresses: Sequence[Address], service: str, login: Login) -> None:
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            addresses, socket_timeout=SENTINEL_SEC, socket_connect_timeout=SENTINEL_SEC
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
        _, host, port = max((answer for answer in answers if answer is not None), default=(0, "", 0))
        if not host:
            raise StoreUnavailable("no Sentinel names a master")
        if self._server is None or self._server.address != (host, port):
            _log.info("the Sentinels name a master", extra={"fields": {"host": host, "port": port}})
            if self._server is not None:
                self._server.close()
            self._server = Server((host, port), self._login, is_master=True)

    async def check(self) -> None:
        """Leave the master if it is none any more, or if the Sentinels name another one: it may not know yet."""
        with contextlib.suppress(StoreUnavailable):
            await self.refresh()
        if self._server is not None:
            await self._server.check()

    async def _named(self, client: Redis) -> tuple[int, str, int] | None:
        """Return a Sentinel's vote, and the host and port of its master; None where it knows none that is up."""
        try:
            state: Any = await client.sentinel_master(self._service)
        except (RedisError, OSError):
            return None
        if state["is_sdown"] or state["is_odown"] or not state["is_master"]:
            return None
        return int(state["config-epoch"]), state["ip"], int(state["port"])

    async def close(self) -> None:
        """Let go of all connections."""
        self._refreshing.cancel()
        if self._server is not None:
            self._server.close()
        for client in self._sentinel.sentinels:
            await client.aclose()
