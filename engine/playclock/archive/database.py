"""The archive's database: how it is opened, brought up to date, and what its driver's errors mean to a caller."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from playclock.errors import ArchiveAway

POSSIBLE: Final = "possible are sqlite:///relative/path.db, sqlite:////absolute/path.db and postgresql+psycopg://user@host/name"
VERSION_TABLE: Final = "archive_version"

APPLICATION_ID: Final = 0x706C6361
"""Marks an SQLite file as ours ("plca")."""
BUSY_TIMEOUT_SEC: Final = 5.0
MIGRATION_LOCK: Final = 0x706C6361
"""The advisory lock under which PostgreSQL lets one process after another migrate."""

# Alembic keeps the environment that is running in globals of its modules.
_migrating: Final = threading.Lock()

T = TypeVar("T")


class ArchiveError(Exception):
    """The archive cannot be used as it is: a wrong address, a newer database, another program's."""


class Database:
    """Does all work on one thread of its own, so that the event loop never waits for a disk or a network."""

    def __init__(self, engine: Engine, thread: ThreadPoolExecutor) -> None:
        self._engine: Final = engine
        self._thread: Final = thread
        self.is_postgresql: Final = engine.dialect.name == "postgresql"

    @classmethod
    async def open(cls, address: str) -> Self:
        """Open the database and bring its tables up to date. Raises ArchiveError, ArchiveAway."""
        url = _url(address)
        thread = ThreadPoolExecutor(1, thread_name_prefix="playclock archive")
        try:
            engine = await asyncio.get_running_loop().run_in_executor(thread, _open, url)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(engine, thread)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` does in one transaction. Raises ArchiveAway."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _transact, self._engine, work)
        except RuntimeError as error:
            if "shutdown" not in str(error):
                raise
            raise ArchiveAway("the archive has been closed") from error

    async def close(self) -> None:
        """Finish what is under way and let go of the connection."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        except RuntimeError:  # it has been closed before
            return
        self._thread.shutdown()


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except (DBAPIError, SQLAlchemyError) as error:
        # The statement and its values stay out of the message: it goes to callers.
        raise ArchiveAway("the archive cannot be reached") from error


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        # Not the address itself, nor the error: they may hold a password.
        raise ArchiveError(f"the archive's address is none; {POSSIBLE}") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ArchiveError(f"the archive's address names no database that this version knows; {POSSIBLE}")
    return url


def _open(url: URL) -> Engine:
    engine = _sqlite(url) if url.drivername == "sqlite" else _postgresql(url)
    try:
        _transact(engine, _upgrade)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _postgresql(url: URL) -> Engine:
    # What the address says counts. Without an end to waiting, a server that has vanished would hold the thread for minutes.
    patience = {"connect_timeout": "5", "tcp_user_timeout": "10000", "keepalives_idle": "10", "keepalives_interval": "5"}
    arguments = {name: value for name, value in patience.items() if name not in url.query}
    try:
        return create_engine(url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True, pool_size=1, max_overflow=0)
    except ImportError as error:
        raise ArchiveError("PostgreSQL's driver is missing; install playclock[postgres]") from error


def _sqlite(url: URL) -> Engine:
    if url.query:
        raise ArchiveError(f"options after '?' are not for an SQLite archive; {POSSIBLE}")
    arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_SEC, "check_same_thread": False}
    if url.database in {None, "", ":memory:"}:
        engine = create_engine(url, connect_args=arguments, hide_parameters=True, poolclass=StaticPool)
    else:
        _create(Path(str(url.database)))
        engine = create_engine(url, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever the driver's connection is
        # The driver would begin transactions of its own, and only before some statements.
        connection.isolation_level = None
        ((application_id, tables),) = connection.execute(
            "SELECT application_id, (SELECT count(*) FROM sqlite_master) FROM pragma_application_id"
        ).fetchall()
        if application_id not in {0, APPLICATION_ID} or (tables and not application_id):
            raise ArchiveError(f"{url.database} is the SQLite file of another program, or of a store; name another file")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: what a transaction reads, it reads under the lock that it writes under.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _create(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            raise ArchiveError(f"the folder {path.parent} for the archive {path.name} does not exist; make it first")
        # It tells who played where and when: nobody else may read it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ArchiveError(f"the archive {path} cannot be made: {error.strerror}") from error


def _upgrade(connection: Connection) -> None:
    """Bring the tables up to date: one process at a time, and wholly or not at all. Raises ArchiveError."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    else:
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if current is not None and current not in known:
        raise ArchiveError(
            f"the archive was written by a newer version of playclock (revision {current}, this version knows"
            f" {script.get_current_head()}): upgrade playclock, or name another database"
        )
    if current != script.get_current_head():
        with _migrating:
            command.upgrade(config, "head")
