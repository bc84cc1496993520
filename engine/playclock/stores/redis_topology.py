"""Where in Redis a partition lies: one server, the master that Sentinels name, or a slot of a Cluster."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

import hiredis
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.crc import key_slot
from redis.exceptions import RedisError

from playclock.stores.base import PARTITIONS, StoreUnavailable
from playclock.stores.redis_link import CONNECT_SEC, Link, Login
from playclock.stores.redis_once import Once

Address = tuple[str, int]

PAUSE_SEC: Final = 0.1
"""How long nobody tries to connect after it failed."""
DOUBT_SEC: Final = 0.2
"""How long callers wait for a connection to a server that did not answer before."""
SENTINEL_SEC: Final = 0.5

_SLOTS: Final = [key_slot(f"{{p:{partition:02x}}}".encode()) for partition in range(PARTITIONS)]

_log = logging.getLogger(__name__)


class Topology(Protocol):
    """Knows which server holds a partition, and how to reach it."""

    are_slots_apart: bool
    """Whether a command may be about keys of one partition only."""

    def ready(self, partition: int) -> Link | None:
        """Return the connection to the server that holds the partition; None where there is none right now."""

    async def link(self, partition: int) -> Link:
        """Return a connection to the server that holds the partition. Raises StoreUnavailable."""

    async def refresh(self) -> None:
        """Look anew where everything lies, after a server said that it is not there. Raises StoreUnavailable."""

    async def check(self) -> None:
        """Leave servers that are no masters any more, or have begun another history. Quiet about those that are away."""

    async def close(self) -> None:
        """Let go of all connections."""


class Server:
    """One server, connected to when it is needed, again after it was lost."""

    def __init__(self, address: Address, login: Login, *, is_master: bool) -> None:
        self.address = address
        self._login = login
        self._is_master = is_master
        """Whether it is of no use while it is a replica: what is read there may be old."""
        self._link: Link | None = None
        self._connecting: asyncio.Task[Link | StoreUnavailable] | None = None
        self._is_doubted = False
        """Whether the last thing that is known of it is that it could not be reached, or did not answer."""
        self._retry_at = 0.0
        self._patient_until = 0.0

    def ready(self) -> Link | None:
        """Return the connection, if there is one."""
        link = self._link
        return None if link is None or not link.is_open else link

    async def link(self) -> Link:
        """Return the connection. All who need it wait for the same attempt. Raises StoreUnavailable.

        Nobody waits for long for a server that is in doubt. The attempt goes on without them, and whoever comes later finds
        the connection: so those who queue behind each other do not each wait for the same dead server.
        """
        link = self.ready()
        if link is not None:
            return link
        now = asyncio.get_running_loop().time()
        if self._connecting is None:
            if now < self._retry_at:
                raise StoreUnavailable("Redis could not be reached a moment ago")
            self._is_doubted = self._is_doubted or (self._link is not None and self._link.is_silent)
            self._patient_until = now + (DOUBT_SEC if self._is_doubted else CONNECT_SEC)
            self._connecting = asyncio.create_task(self._connect(), name="playclock redis")
        attempt = self._connecting
        # Not awaited itself: neither does a caller who is cancelled cancel it, nor the other way round.
        await asyncio.wait([attempt], timeout=max(self._patient_until - now, 0))
        if not attempt.done() or attempt.cancelled():
            raise StoreUnavailable("Redis cannot be reached now")
        outcome = attempt.result()
        if isinstance(outcome, StoreUnavailable):
            raise StoreUnavailable(*outcome.args) from outcome
        return outcome

    async def _connect(self) -> Link | StoreUnavailable:
        try:
            async with asyncio.timeout(CONNECT_SEC):
                self._link = await Link.connect(*self.address, self._login, is_master=self._is_master)
        except (StoreUnavailable, TimeoutError) as error:
            self._is_doubted = True
            self._retry_at = asyncio.get_running_loop().time() + PAUSE_SEC
            return error if isinstance(error, StoreUnavailable) else StoreUnavailable("Redis does not answer")
        finally:
            self._connecting = None
        self._is_doubted = False
        return self._link

    async def check(self) -> None:
        """Leave the server if it is no master any more, or has begun another history."""
        link = self.ready()
        if link is not None:
            with contextlib.suppress(StoreUnavailable):
                await link.check()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.close()


class Single:
    """One server holds everything."""

    are_slots_apart = False

    def __init__(self, address: Address, login: Login) -> None:
        self._server = Server(address, login, is_master=True)

    def ready(self, partition: int) -> Link | None:  # noqa: ARG002 - all partitions lie in one place
        """Return the connection, if there is one."""
        return self._server.ready()

    async def link(self, partition: int) -> Link:  # noqa: ARG002 - all partitions lie in one place
        """Return the connection. Raises StoreUnavailable."""
        return await self._server.link()

    async def refresh(self) -> None:
        """Do nothing: there is nowhere else to look."""

    async def check(self) -> None:
        """Leave the server if it is no master any more."""
        await self._server.check()

    async def close(self) -> None:
        """Let go of the connection."""
        self._server.close()


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


class Cluster:
    """Each partition lies with the master of its slot."""

    are_slots_apart = True

    def __init__(self, addresses: Sequence[Address], login: Login) -> None:
        self._seeds = list(addresses)
        self._login = login
        self._servers: dict[Address, Server] = {}
        self._owners: list[Address] = []
        self._refreshing = Once(self._refresh, "playclock redis slots")

    def ready(self, partition: int) -> Link | None:
        """Return the connection to the master of the partition's slot, if there is one."""
        return self._server(self._owners[partition]).ready() if self._owners else None

    async def link(self, partition: int) -> Link:
        """Return a connection to the master of the partition's slot. Raises StoreUnavailable."""
        if not self._owners:
            await self.refresh()
        try:
            return await self._server(self._owners[partition]).link()
        except StoreUnavailable:
            await self.refresh()
            return await self._server(self._owners[partition]).link()

    async def refresh(self) -> None:
        """Ask any server who holds which slots. All who need it wait for the same answer. Raises StoreUnavailable."""
        await self._refreshing.run()

    async def check(self) -> None:
        """Leave servers that are no masters any more."""
        await asyncio.gather(*(server.check() for server in list(self._servers.values())))

    async def close(self) -> None:
        """Let go of all connections."""
        self._refreshing.cancel()
        for server in self._servers.values():
            server.close()

    async def _refresh(self) -> None:
        known = dict.fromkeys([*self._servers, *self._seeds])
        # Those first that answer right now: one that stands still would hold up everybody.
        for address in sorted(known, key=lambda address: self._server(address).ready() is None):
            try:
                [slots] = await (await self._server(address).link()).ask([("CLUSTER", "SLOTS")])
            except StoreUnavailable:
                continue
            owners = None if isinstance(slots, hiredis.ReplyError) else _owners(slots, address[0])
            if owners is not None:
                self._owners = owners
                return
        raise StoreUnavailable("no server of the Redis Cluster says who holds which slots")

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = Server(address, self._login, is_master=False)
        return server


def _owners(slots: list[list[object]], host: str) -> list[Address] | None:
    """Return who holds each partition; None where a slot of ours is nobody's. An empty host is the one that was asked."""
    found: list[Address] = []
    for slot in _SLOTS:
        owner = next((entry[2] for entry in slots if _is_within(slot, entry)), None)
        if not isinstance(owner, list):
            return None
        found.append(((owner[0] or b"").decode() or host, int(owner[1])))
    return found


def _is_within(slot: int, entry: list[object]) -> bool:
    first, last = entry[0], entry[1]
    return isinstance(first, int) and isinstance(last, int) and first <= slot <= last
