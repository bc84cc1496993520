"""One server of Redis: alone, or one of those that Sentinels and Clusters name."""

import asyncio
import contextlib
from typing import Final

from playclock.stores.base import StoreUnavailable
from playclock.stores.redis_link import CONNECT_SEC, Address, Link, Login
from playclock.stores.redis_wire import Traffic

PAUSE_SEC: Final = 0.1
"""How long nobody tries to connect after it failed."""
DOUBT_SEC: Final = 0.2
"""How long callers wait for a connection to a server that did not answer before."""


class Server:
    """One server, connected to when it is needed, again after it was lost."""

    def __init__(self, address: Address, login: Login, traffic: Traffic, *, is_master: bool) -> None:
        self.address = address
        self._traffic = traffic
        self._login = login
        self._is_master = is_master
        """Whether it is of no use while it is a replica: what is read there may be old."""
        self._link: Link | None = None
        self._connecting: asyncio.Task[Link | StoreUnavailable] | None = None
        self._is_doubted = False
        """Whether the last thing that is known of it is that it could not be reached, or did not answer."""
        self._failure: StoreUnavailable | None = None
        """Why it could not be reached."""
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
            if self._failure is not None and now < self._retry_at:
                raise StoreUnavailable(*self._failure.args) from self._failure
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
            self._traffic.failed_connections += 1
            self._is_doubted = True
            self._retry_at = asyncio.get_running_loop().time() + PAUSE_SEC
            self._failure = error if isinstance(error, StoreUnavailable) else StoreUnavailable("Redis does not answer")
            return self._failure
        finally:
            self._connecting = None
        self._link.traffic = self._traffic
        self._traffic.connections += 1
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
        self.traffic = Traffic()
        self._server = Server(address, login, self.traffic, is_master=True)

    def ready(self, partition: int) -> Link | None:  # noqa: ARG002 - all partitions lie in one place
        """Return the connection, if there is one."""
        return self._server.ready()

    async def link(self, partition: int) -> Link:  # noqa: ARG002 - all partitions lie in one place
        """Return the connection. Raises StoreUnavailable."""
        return await self._server.link()

    async def link_to(self, address: Address) -> Link:
        """Refuse to follow a server that is no part of a Cluster. Raises StoreUnavailable."""
        raise StoreUnavailable(f"Redis leads to {address[0]}:{address[1]}, as in a Cluster: name it redis+cluster://")

    async def refresh(self) -> None:
        """Do nothing: there is nowhere else to look."""

    async def check(self) -> None:
        """Leave the server if it is no master any more."""
        await self._server.check()

    async def close(self) -> None:
        """Let go of the connection."""
        self._server.close()
