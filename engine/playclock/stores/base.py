"""The one protocol that every store speaks.

A store knows keys, versions, bytes, due times and events. What a record means, and when it expires, is decided elsewhere: a
store that has dropped a record has only collected garbage. All records of one commit lie in one partition, so that the
commit is atomic on every store, Redis Cluster included.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Protocol, runtime_checkable

import msgspec

PARTITIONS: Final = 256
"""How many partitions there are. The first two hex digits of a key name its own."""

ABSENT: Final = 0
"""The version of a record that does not exist."""


class StoreError(Exception):
    """The store cannot be used as it is: a wrong address, a newer format, another kind of file."""


class StoreUnavailable(StoreError):
    """The store cannot be reached now. What was asked may or may not have been done."""


ONE_EPOCH: Final = ""
"""The epoch of a store that never loses what it has acknowledged, and so knows no other."""


class Unmoved(Enum):
    """Stands for "leave the due time as it is filed"."""

    UNMOVED = "unmoved"


UNMOVED: Final = Unmoved.UNMOVED
"""Leaves a due time as it is filed. Saves the store an index update, which doubles the cost of a write."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """What lies under a key. The version counts the commits that wrote it, from 1."""

    version: int
    data: bytes


class Put(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One write: the bytes, and the version that must be there now (`ABSENT`: the key must not exist)."""

    key: str
    expect: int
    data: bytes
    due_ms: int | Unmoved | None = None
    """When the record next wants attention: filed in the due index; None takes it out."""
    retain_until_ms: int | None = None
    """From when on the store may drop the record; None keeps it. Never before that, perhaps long after."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry for the partition's outbox."""

    data: bytes
    retain_until_ms: int
    """From when on the store may drop the event."""


class Commit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Puts and events of one partition that take effect together or not at all."""

    partition: int
    puts: Sequence[Put]
    events: Sequence[Event] = ()
    epoch: str | None = None
    """The only epoch of the partition in which this may be done; None for any."""


class Conflict(msgspec.Struct, frozen=True):
    """A commit that took no effect, because a record was not at the version that a put expected, or the epoch is another one.

    `current` has what lies there now for every key of the commit's puts; None where nothing does.
    """

    current: Mapping[str, Record | None]


class Due(msgspec.Struct, frozen=True):
    """An entry of the due index."""

    due_ms: int
    key: str


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it lies in the outbox. Sequences of a partition rise from 1, without gaps."""

    partition: int
    sequence: int
    data: bytes


class Store(Protocol):
    """Where records lie. All methods raise `StoreUnavailable` while the store cannot be reached."""

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return what lies under each key, in the keys' order; None where nothing does."""

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Carry out each commit wholly or not at all, and return None or its `Conflict`, in order.

        The commits of one call are independent of each other and are applied in order. When the call returns, what was
        committed is as durable as the store makes it.
        """

    async def epoch(self, partition: int) -> str:
        """Return the name of the partition's epoch.

        Another one begins whenever something that was acknowledged may have been lost: a server was started anew, or
        another server took over. What lies in the store then may be older than what was read in the epoch before.
        """

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        """Return at most `limit` entries of the partition's due index with `due_ms` up to and including `before_ms`.

        In order of (due_ms, key), from the first one beyond `after`.
        """

    async def due_partitions(self, before_ms: int) -> list[int]:
        """Return, in rising order, the partitions that have entries due up to and including `before_ms`."""

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        """Return at most `limit` events of the named partitions beyond the sequence named for each.

        In order within each partition. Events that were dropped leave a gap at the front and nowhere else.
        """

    async def heads(self) -> dict[int, int]:
        """Return the last sequence of each partition that ever had an event."""

    async def collect(self, before_ms: int, limit: int, *, keep_after: Mapping[int, int] | None = None) -> int:
        """Drop records and events whose `retain_until_ms` is at or before `before_ms`, at most `limit`, and count them.

        With `keep_after`, a partition's events beyond the sequence named for it (none: 0) stay, whatever their time.
        Affects space only: nobody asks for what may be dropped. A store that does this by itself returns 0.
        """

    async def ping(self) -> None:
        """Return if the store answers."""

    async def close(self) -> None:
        """Finish what is under way and let go of files and connections."""


@runtime_checkable
class TellsTime(Protocol):
    """What a store can do besides if it lies on a server that many hosts share: tell what that server's clock shows."""

    async def server_time_ms(self) -> int:
        """Return the server's time in milliseconds since the Unix epoch. Raises StoreUnavailable."""
