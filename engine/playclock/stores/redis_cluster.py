"""A Redis Cluster."""

import asyncio
from collections.abc import Sequence
from typing import Final

import hiredis
from redis.crc import key_slot

from playclock.stores.base import PARTITIONS, StoreUnavailable
from playclock.stores.redis_link import Address, Link, Login
from playclock.stores.redis_once import Once
from playclock.stores.redis_server import Server
from playclock.stores.redis_wire import Traffic

_SLOTS: Final = [key_slot(f"{{p:{partition:02x}}}".encode()) for partition in range(PARTITIONS)]


class Cluster:
    """Each partition lies with the master of its slot."""

    are_slots_apart = True

    def __init__(self, addresses: Sequence[Address], login: Login) -> None:
        self.traffic = Traffic()
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

    async def link_to(self, address: Address) -> Link:
        """Return a connection to a server that takes a slot over. Raises StoreUnavailable."""
        return await self._server(address).link()

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
        why = ""
        known = dict.fromkeys([*self._servers, *self._seeds])
        # Those first that answer right now: one that stands still would hold up everybody.
        for address in sorted(known, key=lambda address: self._server(address).ready() is None):
            try:
                [slots] = await (await self._server(address).link()).ask([("CLUSTER", "SLOTS")])
            except StoreUnavailable as error:
                why = why or f": {error}"
                continue
            owners = None if isinstance(slots, hiredis.ReplyError) else _owners(slots, address[0])
            if owners is not None:
                self._owners = owners
                return
        raise StoreUnavailable(f"no server of the Redis Cluster says who holds which slots{why}")

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = Server(address, self._login, self.traffic, is_master=False)
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
