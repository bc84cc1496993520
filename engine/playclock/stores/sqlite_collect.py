"""Drops what nobody asks for any more from an SQLite file."""

import sqlite3
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
    DELETE FROM events WHERE partition = :partition
    AND sequence < :limit + (SELECT min(sequence) FROM events WHERE partition = :partition)
    AND sequence < coalesce(
        (SELECT sequence FROM events WHERE partition = :partition AND retain_until_ms > :before ORDER BY sequence LIMIT 1),
        :limit + (SELECT min(sequence) FROM events WHERE partition = :partition))"""


def collect(connection: sqlite3.Connection, before_ms: int, limit: int) -> int:
    """Drop at most `limit` records and events within the transaction that the connection has open, and count them."""
    dropped = connection.execute(_RECORDS, (before_ms, max(limit, 0))).rowcount
    for (partition,) in connection.execute(_PARTITIONS, (before_ms,)).fetchall():
        if dropped >= limit:
            break
        names = {"partition": partition, "before": before_ms, "limit": limit - dropped}
        dropped += connection.execute(_EVENTS, names).rowcount
    return dropped
