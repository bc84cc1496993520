"""How far each partition of the outbox has been archived, and what is read again when the store begins another epoch.

A failover may take events back that were archived, and their writers put them back in another order. So whatever was reached
a short while before the epoch's end is read again; what is known already is known by its id.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from playclock.archive.schema import cursors
from playclock.stores.base import ONE_EPOCH, PARTITIONS

SAFE_SEC: Final = 90.0
"""How long ago events must have been archived that no failover takes back: writers put back what is up to a minute old."""

_MOVE: Final = (
    update(cursors)
    .where(cursors.c.partition == bindparam("at"), cursors.c.sequence == bindparam("old"), cursors.c.epoch == bindparam("was"))
    .values(
        sequence=bindparam("new"),
        digest=bindparam("of"),
        epoch=bindparam("named"),
        safe_sequence=bindparam("safe"),
        safe_digest=bindparam("safe_of"),
    )
)


class Overtaken(Exception):
    """Another projector has archived these events already."""


class Cursor(msgspec.Struct, frozen=True):
    """How far a partition has been archived."""

    sequence: int
    digest: str
    """The hash of the event there; empty where there was none."""
    epoch: str = ONE_EPOCH
    """The store's epoch in which it came there; empty also where that is not known."""
    safe_sequence: int = 0
    """How far it had been archived so long ago that no failover takes it back."""
    safe_digest: str = ""

    def is_of(self, epoch: str) -> bool:
        """Return whether what was archived cannot have been taken back: the epoch goes on, or the store has but one."""
        return ONE_EPOCH in (self.epoch, epoch) or self.epoch == epoch

    def back(self, epoch: str) -> "Cursor":
        """Return the cursor from which on everything is read again in a new epoch."""
        return msgspec.structs.replace(self, sequence=self.safe_sequence, digest=self.safe_digest, epoch=epoch)


class Move(NamedTuple):
    """Where a partition's cursor goes, and from where."""

    old: Cursor
    new: Cursor


class Trail:
    """Remembers when each cursor was where, so that what is safe can follow at a distance."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Take what tells the seconds."""
        self._now = now
        self._seen: dict[int, tuple[float, int, str]] = {}

    def safe(self, partition: int, old: Cursor) -> tuple[int, str]:
        """Return how far is safe, and the hash of the event there, as the cursor leaves its place. Never further than that."""
        now = self._now()
        seen = self._seen.get(partition)
        if seen is None:
            self._seen[partition] = (now, old.sequence, old.digest)
            return old.safe_sequence, old.safe_digest
        since, sequence, digest_ = seen
        if now - since < SAFE_SEC:
            return old.safe_sequence, old.safe_digest
        self._seen[partition] = (now, old.sequence, old.digest)
        return sequence, digest_

    def forget(self, partition: int) -> None:
        """Begin anew: the cursor was set back, or moved by somebody else."""
        self._seen.pop(partition, None)


def move(connection: Connection, moves: Mapping[int, Move]) -> None:
    """Move cursors. Raises Overtaken where one is not where it was, for somebody else has moved it."""
    places = [
        {
            "at": partition,
            "old": old.sequence,
            "was": old.epoch,
            "new": new.sequence,
            "of": new.digest,
            "named": new.epoch,
            "safe": new.safe_sequence,
            "safe_of": new.safe_digest,
        }
        for partition, (old, new) in sorted(moves.items())
    ]
    if connection.execute(_MOVE, places).rowcount != len(places):
        raise Overtaken


def load_cursors(connection: Connection) -> dict[int, Cursor]:
    """Return the cursors. Those that are not there yet are filed, so that a cursor only ever has to be moved."""
    found = _cursors(connection)
    missing = [{"partition": at, "sequence": 0, "digest": ""} for at in range(PARTITIONS) if at not in found]
    if missing:
        once = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(once(cursors).on_conflict_do_nothing(), missing)
        found = _cursors(connection)
    return found


def digest(data: bytes) -> str:
    """Return the hash by which an event is recognised."""
    return sha256(data).hexdigest()


def _cursors(connection: Connection) -> dict[int, Cursor]:
    return {
        row.partition: Cursor(row.sequence, row.digest, row.epoch, row.safe_sequence, row.safe_digest)
        for row in connection.execute(select(cursors))
    }
