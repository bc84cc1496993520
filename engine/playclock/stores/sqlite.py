"""A store in one SQLite file, for a laptop or a single machine: what was answered survives a crash and a power cut."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from playclock.stores.base import ONE_EPOCH, PARTITIONS, Commit, Conflict, Due, Record, StoredEvent, StoreUnavailable
from playclock.stores.keys import check_keys
from playclock.stores.sqlite_collect import collect
from playclock.stores.sqlite_file import open_file, translated
from playclock.stores.sqlite_group import json_text
from playclock.stores.sqlite_writer import Writer

_DUE = """
    SELECT due_ms, key FROM records
    WHERE partition = ? AND due_ms <= ? AND (due_ms, key) > (?, ?)
    ORDER BY due_ms, key LIMIT ?"""
_FIRST = Due(-(1 << 63), "")

# A look into the index for each partition; DISTINCT would walk all of it.
_DUE_PARTITIONS = """
    WITH RECURSIVE partitions (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM partitions LIMIT ?)
    SELECT number FROM partitions
    WHERE EXISTS (SELECT 1 FROM records WHERE partition = number AND due_ms <= ?)
    ORDER BY number"""

_EVENTS = "SELECT sequence, data FROM events WHERE partition = ? AND sequence > ? ORDER BY sequence LIMIT ?"


class SqliteStore:
    """Writes on one thread, many commits to a transaction; reads on the event loop's own thread.

    A read is some 6 µs from a file with a write-ahead log, and waits for no writer; the way to another thread and back costs
    more than that. Several processes may use one file: versions arbitrate between them as between the tasks of one.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._path: Final = path
        self._reader: Final = reader
        self._writer: Final = Writer(writer, path)
        self._closed = False

    @classmethod
    async def open(cls, path: Path | str, *, busy_timeout_ms: int = 5_000) -> Self:
        """Open the file, or make it. The store belongs to the event loop that is running.

        `busy_timeout_ms` is how long a write waits for another process's. Raises StoreError if the folder is missing, or
        if the file is another program's or from a newer version.
        """
        path = Path(path)
        return cls(path, *await asyncio.to_thread(open_file, path, busy_timeout_ms=busy_timeout_ms))

    @property
    def transactions(self) -> int:
        """How many transactions this store has committed: far fewer than commits, under load."""
        return self._writer.transactions

    def counts(self) -> Mapping[str, int]:
        """Return what this store has counted."""
        return {"transactions": self.transactions}

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return what lies under each key, all as of one moment."""
        if len(keys) == 1:
            found = self._read("SELECT key, version, data FROM records WHERE key = ?", keys[0])
        else:
            sql = "SELECT key, version, data FROM records WHERE key IN (SELECT value FROM json_each(?))"
            found = self._read(sql, json_text(keys))
        records = {key: Record(version, data) for key, version, data in found}
        return [records.get(key) for key in keys]

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Carry out each commit wholly or not at all; what is answered is on the disk.

        A caller that is cancelled while it waits does not call its commits back.
        """
        self._check_open()
        check_keys(commits)
        return await self._writer.commit(commits) if commits else []

    async def epoch(self, partition: int) -> str:  # noqa: ARG002 - one file holds all partitions
        """Return the only epoch that there is: what was answered is on the disk."""
        self._check_open()
        return ONE_EPOCH

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        """Return entries of the partition's due index."""
        after = after or _FIRST
        found = self._read(_DUE, partition, before_ms, after.due_ms, after.key, max(limit, 0))
        return [Due(due_ms, key) for due_ms, key in found]

    async def due_partitions(self, before_ms: int) -> list[int]:
        """Return the partitions that have something due."""
        return [partition for (partition,) in self._read(_DUE_PARTITIONS, PARTITIONS, before_ms)]

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        """Return events of the named partitions."""
        heads = await self.heads()
        events: list[StoredEvent] = []
        for partition, last in after.items():
            if heads.get(partition, 0) > last and len(events) < limit:
                found = self._read(_EVENTS, partition, last, limit - len(events))
                events += [StoredEvent(partition, sequence, data) for sequence, data in found]
        return events

    async def heads(self) -> dict[int, int]:
        """Return the last sequence of each partition that ever had an event."""
        return dict(self._read("SELECT partition, sequence FROM heads"))

    async def collect(self, before_ms: int, limit: int, *, keep_after: Mapping[int, int] | None = None) -> int:
        """Drop what nobody asks for any more."""
        self._check_open()
        return await self._writer.call(lambda connection: collect(connection, before_ms, limit, keep_after))

    async def ping(self) -> None:
        """Return if a write could be made: the writer answers, and the file's lock is to be had."""
        self._check_open()
        await self._writer.call(lambda _: None)

    async def close(self) -> None:
        """Finish what was begun, move the log into the file and close it."""
        if not self._closed:
            self._closed = True
            self._reader.close()
            self._writer.stop()
        await self._writer.stopped()

    def _read(self, sql: str, *parameters: object) -> list[Any]:
        self._check_open()
        try:
            # All rows at once: a statement left half-read would hold on to its moment, and see no later commit.
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store has been closed")
