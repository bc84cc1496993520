"""The SQLite file: how it is made, recognised and opened, and what its driver's errors mean to a caller."""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from playclock.stores.base import StoreError, StoreUnavailable

FORMAT: Final = 1
"""Counts the layouts of the file. Kept in its `user_version`."""

APPLICATION_ID: Final = 0x706C636B
"""Marks the file as ours ("plck")."""

SCHEMA: Final = (
    """
    CREATE TABLE records (
        key TEXT PRIMARY KEY NOT NULL,
        partition INTEGER NOT NULL,
        version INTEGER NOT NULL,
        data BLOB NOT NULL,
        due_ms INTEGER,
        retain_until_ms INTEGER
    )""",
    # Both are partial: a write that has neither time touches no index.
    "CREATE INDEX records_due ON records (partition, due_ms, key) WHERE due_ms IS NOT NULL",
    "CREATE INDEX records_retained ON records (retain_until_ms) WHERE retain_until_ms IS NOT NULL",
    """
    CREATE TABLE events (
        partition INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        data BLOB NOT NULL,
        retain_until_ms INTEGER NOT NULL,
        PRIMARY KEY (partition, sequence)
    ) WITHOUT ROWID""",
    # Apart from the events, so that a sequence is never given twice even when all events have been dropped.
    "CREATE TABLE heads (partition INTEGER PRIMARY KEY NOT NULL, sequence INTEGER NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)

# Records lie scattered over the file, so each write costs a page in the log. Half the usual page is half the log, and in a
# file of 100,000 records nearly doubled the writes per second.
PAGE_SIZE: Final = 2048


def open_file(path: Path, *, busy_timeout_ms: int) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Return a connection to write through and one to read through; make the file if there is none.

    Raises StoreError for a file that is not ours or from a newer version, and if its folder is missing.
    """
    _create(path)
    writer = _connect(path, busy_timeout_ms)
    try:
        _prepare(writer, path, busy_timeout_ms)
        # Readers wait for nobody, save for a moment while another process recovers the log or closes the file.
        reader = _connect(path, busy_timeout_ms)
        reader.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        writer.close()
        raise translated(error, path) from error
    except StoreError:
        writer.close()
        raise
    return writer, reader


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Return what the driver's error means: wait and try again, or look at the file."""
    if isinstance(error, sqlite3.OperationalError):
        return StoreUnavailable(f"SQLite file {path} cannot be used now: {error}")
    return StoreError(f"SQLite file {path} is damaged or no SQLite file: {error}")


def _create(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            raise StoreError(f"the folder {path.parent} for the SQLite file {path.name} does not exist; make it first")
        if path.is_dir():
            raise StoreError(f"{path} is a folder; name a file in it")
        # Records hold secrets, so nobody else may read them; SQLite gives its log the same mode. Only ever a new file is opened
        # here: to close a file that SQLite has open would drop the locks that this process holds on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"the SQLite file {path} cannot be made: {error.strerror}") from error


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            path,
            timeout=busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=128,
        )
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _prepare(writer: sqlite3.Connection, path: Path, busy_timeout_ms: int) -> None:
    deadline = time.monotonic() + busy_timeout_ms / 1000
    while True:
        try:
            return _prepare_once(writer, path)
        except sqlite3.OperationalError as error:
            # SQLite does not wait where waiting could be a deadlock, as when two processes turn the log on at once.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            roll_back(writer)
            time.sleep(0.005)


def _prepare_once(writer: sqlite3.Connection, path: Path) -> None:
    is_new = _check_format(writer, path)
    writer.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"the file system of {path} cannot hold SQLite's write-ahead log; use a local disk")
    # FULL: what was answered survives a power cut. NORMAL is no faster once commits are grouped.
    writer.execute("PRAGMA synchronous = FULL")
    writer.execute("PRAGMA fullfsync = ON")
    # The usual 1,000 pages make a checkpoint of almost every other group, and cost half the throughput.
    writer.execute("PRAGMA wal_autocheckpoint = 20000")
    writer.execute("PRAGMA cache_size = -65536")
    if is_new:
        writer.execute("BEGIN IMMEDIATE")
        if _check_format(writer, path):
            for statement in SCHEMA:
                writer.execute(statement)
        writer.execute("COMMIT")


def _check_format(writer: sqlite3.Connection, path: Path) -> bool:
    """Return whether the file is empty. Raises StoreError if it is not ours to write to."""
    ((application_id, version, tables),) = writer.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchall()
    if application_id == APPLICATION_ID and version > FORMAT:
        raise StoreError(
            f"{path} was written by a newer version of playclock (file format {version}, this version knows {FORMAT}):"
            " upgrade playclock, or name another file"
        )
    if application_id == APPLICATION_ID:
        return False
    if application_id or version or tables:
        raise StoreError(f"{path} is the SQLite file of another program; name another file")
    return True


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave no transaction open. Some errors have ended it already."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
