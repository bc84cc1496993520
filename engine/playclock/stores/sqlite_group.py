"""One transaction's worth of commits: read together, judged in memory, written together.

SQLite's driver lets go of the interpreter at every step of a statement, and must wait for a busy event loop to let go before
it goes on: 5 ms each time, or more. A statement per record would crawl just when there is most to do (measured in groups of
64 beside a busy thread: 245 puts per second, against 2,300 with one statement for all). So the number of statements here,
and of rows that come back, hardly grows with the number of records.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

import msgspec

from playclock.stores.base import ABSENT, PARTITIONS, Commit, Conflict, Put, Record, Unmoved
from playclock.stores.keys import PREFIXES

PARTITION_OF: Final = {PREFIXES[partition]: partition for partition in range(PARTITIONS)}


def apply(connection: sqlite3.Connection, commits: Sequence[Commit]) -> list[Conflict | None]:
    """Write the commits within the transaction that the connection has open, each wholly or not at all."""
    group = _Group(connection, commits)
    answers = [group.take(commit) for commit in commits]
    group.write()
    return answers


class _Group:
    """What the commits come to. A commit sees those before it, so several may write one record."""

    def __init__(self, connection: sqlite3.Connection, commits: Sequence[Commit]) -> None:
        self._connection: Final = connection
        self._rows: Final = _read_rows(connection, {put.key for commit in commits for put in commit.puts})
        self._heads: Final = _read_heads(connection, {commit.partition for commit in commits if commit.events})
        self._events: Final[list[tuple[int, int, bytes, int]]] = []

    def take(self, commit: Commit) -> Conflict | None:
        """Take the commit in, or leave everything as it is."""
        rows = self._rows
        if commit.epoch:  # there is none but ONE_EPOCH
            return Conflict({put.key: self._current(put.key) for put in commit.puts})
        for put in commit.puts:
            row = rows.get(put.key)
            if put.expect != (ABSENT if row is None else row.version):
                return Conflict({put.key: self._current(put.key) for put in commit.puts})
        for put in commit.puts:
            row = rows.get(put.key)
            if row is None:
                row = rows[put.key] = _Row(ABSENT)
            row.take(put)
        if commit.events:
            self._append(commit)
        return None

    def write(self) -> None:
        """Write what was taken in, each record once, however many commits wrote it."""
        plain = []
        refiled = []
        for key, row in self._rows.items():
            if row.data is None:
                continue
            if row.refiled:
                refiled.append((key, PARTITION_OF[key[:2]], row.version, row.data, row.due_ms, row.retain_until_ms))
            else:
                plain.append((key, PARTITION_OF[key[:2]], row.version, row.data))
        _PLAIN.run(self._connection, plain)
        _REFILED.run(self._connection, refiled)
        _EVENTS.run(self._connection, self._events)
        _HEADS.run(self._connection, [*self._heads.items()] if self._events else [])

    def _append(self, commit: Commit) -> None:
        sequence = self._heads.get(commit.partition, 0)
        for event in commit.events:
            sequence += 1
            self._events.append((commit.partition, sequence, event.data, event.retain_until_ms))
        self._heads[commit.partition] = sequence

    def _current(self, key: str) -> Record | None:
        row = self._rows.get(key)
        if row is None:
            return None
        if row.data is not None:
            return Record(row.version, row.data)
        ((data,),) = self._connection.execute("SELECT data FROM records WHERE key = ?", (key,)).fetchall()
        return Record(row.version, data)


class _Row(msgspec.Struct, gc=False):
    """A record as the group leaves it. `data` is None as long as no commit has written it."""

    version: int
    due_ms: int | None = None
    retain_until_ms: int | None = None
    data: bytes | None = None
    refiled: bool = False

    def take(self, put: Put) -> None:
        self.version += 1
        self.data = put.data
        due_ms = self.due_ms if isinstance(put.due_ms, Unmoved) else put.due_ms
        # SQLite would rewrite the index entries of a column that is set, even to what it was.
        if due_ms != self.due_ms or put.retain_until_ms != self.retain_until_ms:
            self.due_ms, self.retain_until_ms, self.refiled = due_ms, put.retain_until_ms, True


class _Insert:
    """An INSERT of any number of rows in few statements, whose texts are few as well, so that they stay prepared."""

    def __init__(self, into: str, columns: int, conflict: str = "", *, repeatable: bool = False) -> None:
        self._into: Final = into
        self._row: Final = f"({', '.join('?' * columns)})"
        self._conflict: Final = conflict
        self._repeatable: Final = repeatable
        self._statements: Final[dict[int, str]] = {}

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        while rows:
            size = min(1 << (len(rows) - 1).bit_length(), 1024)
            missing = size - len(rows)
            if missing > 0 and self._repeatable and missing <= len(rows) // 8:
                # To write the last row some times more is cheaper than another statement.
                rows = [*rows, *[rows[-1]] * missing]
            elif missing > 0:
                size //= 2
            connection.execute(self._statement(size), list(chain.from_iterable(rows[:size])))
            rows = rows[size:]

    def _statement(self, size: int) -> str:
        statement = self._statements.get(size)
        if statement is None:
            # Only words of this module go into the text.
            statement = f"INSERT INTO {self._into} VALUES {', '.join([self._row] * size)} {self._conflict}"  # noqa: S608
            self._statements[size] = statement
        return statement


_SET = "ON CONFLICT (key) DO UPDATE SET version = excluded.version, data = excluded.data"
_PLAIN = _Insert("records (key, partition, version, data)", 4, _SET, repeatable=True)
_REFILED = _Insert(
    "records (key, partition, version, data, due_ms, retain_until_ms)",
    6,
    f"{_SET}, due_ms = excluded.due_ms, retain_until_ms = excluded.retain_until_ms",
    repeatable=True,
)
_EVENTS = _Insert("events (partition, sequence, data, retain_until_ms)", 4)
_HEADS = _Insert("heads (partition, sequence)", 2, "ON CONFLICT (partition) DO UPDATE SET sequence = excluded.sequence")

_FOUND: Final = msgspec.json.Decoder(list[tuple[str, int, int | None, int | None]])
_FOUND_HEADS: Final = msgspec.json.Decoder(list[tuple[int, int]])


def _read_rows(connection: sqlite3.Connection, keys: set[str]) -> dict[str, _Row]:
    if not keys:
        return {}
    ((found,),) = connection.execute(
        "SELECT json_group_array(json_array(key, version, due_ms, retain_until_ms))"
        " FROM records WHERE key IN (SELECT value FROM json_each(?))",
        (json_text(keys),),
    ).fetchall()
    return {key: _Row(version, due_ms, retain_ms) for key, version, due_ms, retain_ms in _FOUND.decode(found)}


def _read_heads(connection: sqlite3.Connection, partitions: set[int]) -> dict[int, int]:
    if not partitions:
        return {}
    ((found,),) = connection.execute(
        "SELECT json_group_array(json_array(partition, sequence))"
        " FROM heads WHERE partition IN (SELECT value FROM json_each(?))",
        (json_text(partitions),),
    ).fetchall()
    return dict(_FOUND_HEADS.decode(found))


def json_text(values: Iterable[str] | Iterable[int]) -> str:
    """Return the values as SQLite's `json_each` takes them. Raises ValueError for a key with a NUL in it.

    SQLite would look such a key up without what follows the NUL, and find another record.
    """
    text = msgspec.json.encode(list(values)).decode()
    if "\\u0000" in text:
        raise ValueError("a key has a NUL in it")
    return text
