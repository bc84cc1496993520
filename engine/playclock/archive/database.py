"""The archive's database: how it is opened, brought up to date, and what its driver's errors mean to a caller."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from playclock.archive.errors import ArchiveError
from playclock.errors import ArchiveAway

POSSIBLE: Final = "possible are sqlite:///relative/path.db, sqlite:////absolute/path.db and postgresql+psycopg://user@host/name"
VERSION_TABLE: Final = "archive_version"

APPLICATION_ID: Final = 0x706C6361
"""Marks an SQLite file as ours ("plca")."""
WAITING_MAX: Final = 100
"""How many may wait for the thread: a server that has vanished holds up each of them for seconds."""
BUSY_TIMEOUT_SEC: Final = 5.0
LOCK_TIMEOUT_SEC: Final = 10
IDLE_TIMEOUT_SEC: Final = 30
MAY_PASS: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL")
"""What SQLite says of a file that can be used at another time."""
MIGRATION_LOCK: Final = 0x706C6361
"""The advisory lock under which PostgreSQL lets one process after another migrate."""

# Alembic keeps the environment that is running in globals of its modules.
_migrating: Final = threading.Lock()

T = TypeVar("T")


class Database:
    """Does all work on one thread of its own, so that the event loop never waits for a disk or a network.

    A database that is away may come later: whatever is done first brings its tables up to date.
    """

    def __init__(self, address: str) -> None:
        """Take the database at the address, without going there. Raises ArchiveError for an address that is none."""
        url = _url(address)
        self._engine: Final = _sqlite(url) if url.drivername == "sqlite" else _postgresql(url)
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="playclock archive")
        self._is_prepared = False
        self._waiting = 0

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` does in one transaction. Raises ArchiveAway, and at first ArchiveError."""
        if self._waiting >= WAITING_MAX:
            raise ArchiveAway("too many ask the archive at once")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)
        except RuntimeError as error:
            if "shutdown" not in str(error):
                raise
            raise ArchiveAway("the archive has been closed") from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Finish what is under way and let go of the connection."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        except RuntimeError:  # it has been closed before
            return
        self._thread.shutdown()

    def _run(self, work: Callable[[Connection], T]) -> T:
        if not self._is_prepared:
            _prepare(self._engine)
            self._is_prepared = True
        return _transact(self._engine, work)


def _prepare(engine: Engine) -> None:
    try:
        _transact(engine, _upgrade)
    except ArchiveAway as away:
        if _is_away(away.__cause__):
            raise
        orig = getattr(away.__cause__, "orig", None) or away.__cause__
        raise ArchiveError(f"the archive cannot be used: {' '.join(str(orig).split())}") from away


def _is_away(error: BaseException | None) -> bool:
    """Say whether what went wrong may pass by itself."""
    orig = getattr(error, "orig", None)
    name = getattr(orig, "sqlite_errorname", None)
    if name is not None:
        return str(name).startswith(MAY_PASS)
    return isinstance(error, OperationalError | InterfaceError)


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except SQLAlchemyError as error:
        # The statement and its values stay out of the message: it goes to callers.
        raise ArchiveAway("the archive cannot be reached") from error


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # Not the address itself, nor the error: they may hold a password.
        raise ArchiveError(f"the archive's address is none; {POSSIBLE}") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ArchiveError(f"the archive's address names no database that this version knows; {POSSIBLE}")
    return url


def _postgresql(url: URL) -> Engine:
    # What the address says counts. Without an end to waiting, a server that has vanished would hold the thread for minutes.
    patience = {"connect_timeout": "5", "tcp_user_timeout": "10000", "keepalives_idle": "10", "keepalives_interval": "5"}
    arguments = {name: value for name, value in patience.items() if name not in url.query}
    try:
        engine = create_engine(
            url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True, pool_size=1, max_overflow=0
        )
    except ArgumentError:
        raise ArchiveError(f"the archive's address has options that there are none of; {POSSIBLE}") from None
    except ImportError as error:
        raise ArchiveError("PostgreSQL's driver is not installed: pip install 'playclock[postgres]'") from error

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever the driver's connection is
        # A process that was stopped in the middle would hold its locks, and us, for ever.
        connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_SEC}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_SEC}s'")
        connection.commit()

    return engine


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
