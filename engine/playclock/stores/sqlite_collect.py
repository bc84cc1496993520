"""Drops what nobody asks for any more from an SQLite file."""

import sqlite3
from collections.abc import Mapping
from typing import Final

_RECORDS: Final = """
    DELETE FROM records WHERE key IN (
        SELECT key FROM records WHERE retain_until_ms <= ? ORDER BY retain_until_ms LIMIT ?)"""

_PARTITIONS: Final = """
    SELECT partition FROM heads WHERE ? >= (
        SELECT retain_until_ms FROM events WHERE events.partition = heads.partition ORDER BY sequence LIMIT 1)"""

# Only from the front up to the first that must stay, so that no event ever has a gap behind it. As there are no gaps, so
# many sequences are so many events.
_EVENTS: Final = """
    DELETE FROM events WHERE partition = :partition AND sequence <= :until
    AND sequence < :limit + (SELECT min(sequence) FROM events WHERE partition = :partition)
    AND sequence < coalesce(
        (SELECT sequence FROM events WHERE partition = :partition AND retain_until_ms > :before ORDER BY sequence LIMIT 1),
        :limit + (SELECT min(sequence) FROM events WHERE partition = :partition))"""


_LAST: Final = (1 << 63) - 1


def collect(connection: sqlite3.Connection, before_ms: int, limit: int, keep_after: Mapping[int, int] | None) -> int:
    """Drop at most `limit` records and events within the transaction that the connection has open, and count them."""
    dropped = connection.execute(_RECORDS, (before_ms, max(limit, 0))).rowcount
    for (partition,) in connection.execute(_PARTITIONS, (before_ms,)).fetchall():
        if dropped >= limit:
            break
        until = _LAST if keep_after is None else keep_after.get(partition, 0)
        names = {"partition": partition, "before": before_ms, "limit": limit - dropped, "until": until}
        dropped += connection.execute(_EVENTS, names).rowcount
    return dropped
