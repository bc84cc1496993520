"""What leads to the server that holds a partition: one server, the master that Sentinels name, or the slots of a Cluster."""

from typing import Protocol

from playclock.stores.redis_link import Address, Link
from playclock.stores.redis_wire import Traffic


class Topology(Protocol):
    """Knows which server holds a partition, and how to reach it."""

    traffic: Traffic
    """What has been counted of the connections to all servers."""
    are_slots_apart: bool
    """Whether a command may be about keys of one partition only."""

    def ready(self, partition: int) -> Link | None:
        """Return the connection to the server that holds the partition; None where there is none right now."""

    async def link(self, partition: int) -> Link:
        """Return a connection to the server that holds the partition. Raises StoreUnavailable."""

    async def link_to(self, address: Address) -> Link:
        """Return a connection to a server that another one has named. Raises StoreUnavailable."""

    async def refresh(self) -> None:
        """Look anew where everything lies, after a server said that it is not there. Raises StoreUnavailable."""

    async def check(self) -> None:
        """Leave servers that are no masters any more, or have begun another history. Quiet about those that are away."""

    async def close(self) -> None:
        """Let go of all connections."""
