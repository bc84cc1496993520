"""kill -9 of the engine that fills an archive, and of the archive's PostgreSQL, fifty times: it equals the outbox."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
from playclock.archive.archive import Archive
from playclock.archive.archiving import ArchiveOfStore
from playclock.archive.database import Database
from playclock.archive.schema import audit, chains, cursors, entries
from playclock.archive.urls import open_archive
from playclock.core.ledger import Transfer
from playclock.core.outbox import Audit, decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import Session
from playclock.core.settlement import Settlement, chain_problems, settlement_of
from playclock.engine.history import Filter
from playclock.errors import ArchiveAway
from playclock.stores.base import Store
from playclock.stores.memory import MemoryStore
from playclock.stores.sqlite import SqliteStore
from sqlalchemy import Select, select

if TYPE_CHECKING:
    from simulation.soak.lives import Loader
    from tests.conftest import WorldMaker
    from tests.faults.conftest import StartLoader

SQLITE_CYCLES = 36
POSTGRES_CYCLES = 7
"""In each of them the database is killed, and then the engine."""
MORE_THAN_A_PIPE_HOLDS = 1_500
"""So many answers were not all given before."""


class Postgres:
    """A PostgreSQL server that is killed, all of it, and started again."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which a server in a short folder does not need
            from pgserver._commands import POSTGRES_BIN_PATH
            from pgserver.postgres_server import get_server
        self._folder = tempfile.mkdtemp(prefix="pg")
        made = get_server(self._folder, cleanup_mode="stop")
        made.cleanup()
        self._user: str | None = made.system_user
        self._command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", self._folder, "-h", "", "-k", self._folder]
        self.start()
        with self._connect() as connection:
            connection.execute("CREATE DATABASE archive")
            connection.execute("CREATE DATABASE race")
            connection.execute("CREATE DATABASE back")

    def url(self, database: str = "archive") -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}"

    def kill(self) -> None:
        """Kill every process of the server at once."""
        for process in [self._process, *psutil.Process(self._process.pid).children(recursive=True)]:
            os.kill(process.pid, signal.SIGKILL)
        self._process.wait()

    def start(self) -> None:
        """Start it, on what it has kept, and wait until it has recovered."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, user=self._user, stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(psycopg.OperationalError), self._connect():
                return
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)  # it tells nobody when it is done

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(host=self._folder, user="postgres", dbname="postgres", autocommit=True)


class Outbox:
    """All that was ever told. Nothing is dropped within a day."""

    def __init__(self, path: Path) -> None:
        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT partition, sequence, data FROM events ORDER BY partition, sequence").fetchall()
        connection.close()
        self.heads: dict[int, int] = {}
        self.ended: list[Session] = []
        self.legs: Counter[tuple[str, int, str, int]] = Counter()
        self.audit: Counter[tuple[int, int, str, str]] = Counter()
        for partition, sequence, data in rows:
            assert sequence == self.heads.get(partition, 0) + 1
            self.heads[partition] = sequence
            match decode(data):
                case SessionEvent(happening=Happening.ENDED, session=session):
                    self.ended.append(session)
                case Transfer(id=id_, legs=legs):
                    self.legs.update((id_, number, *leg_of(leg)) for number, leg in enumerate(legs))
                case Audit(action=action, target=target):
                    self.audit[partition, sequence, action, target] += 1


class Shelf:
    """All that has been archived."""

    def __init__(self, url: str) -> None:
        asyncio.run(self._read(url))

    async def _read(self, url: str) -> None:
        database = Database(url)

        async def rows(query: Select[Any]) -> list[tuple[Any, ...]]:
            return await database.run(lambda connection: [tuple(row) for row in connection.execute(query).all()])

        self.settlements: list[Settlement] = [each async for each in Archive(database).export(Filter())]
        columns = entries.c
        legs = select(columns.transfer_id, columns.leg, columns.ledger_account, columns.amount_micros)
        self.legs = Counter(await rows(legs))
        self.audit = Counter(await rows(select(audit.c.partition, audit.c.sequence, audit.c.action, audit.c.target)))
        found = await rows(select(cursors.c.partition, cursors.c.sequence).where(cursors.c.sequence > 0))
        self.cursors = dict(found)
        self.chains = {game_id: (last, length) for game_id, last, length in await rows(select(chains))}
        await database.close()


def leg_of(leg: Any) -> tuple[str, int]:  # noqa: ANN401 - a leg
    return leg.ledger_account, leg.amount_micros


def check_equal(outbox: Outbox, shelf: Shelf) -> None:
    """Check that everything that was told has been archived, once, and nothing else."""
    assert shelf.cursors == outbox.heads
    assert Counter(each.game_session_id for each in shelf.settlements) == Counter(each.id for each in outbox.ended)
    sessions = {session.id: session for session in outbox.ended}
    assert all(each == settlement_of(sessions[each.game_session_id], each.previous_hash) for each in shelf.settlements)
    assert chain_problems(shelf.settlements, whole=True) == []
    ends = {each.game_id: each.hash for each in shelf.settlements}
    lengths = Counter(each.game_id for each in shelf.settlements)
    assert shelf.chains == {game_id: (ends[game_id], length) for game_id, length in lengths.items()}
    assert shelf.legs == outbox.legs
    assert max(shelf.legs.values()) == 1
    assert sum(amount_micros for _, _, _, amount_micros in shelf.legs) == 0
    assert shelf.audit == outbox.audit


async def catch_up(path: Path, url: str) -> int:
    """Archive what is left over, as the next start does."""
    store = await SqliteStore.open(path)
    archive = await open_archive(url, store)
    archived = await archive.project()
    assert (archive.projector.lost, archive.projector.contradictions) == (0, 0)
    await archive.close()
    await store.close()
    return archived


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="module")
def killed_engine(tmp_path_factory: pytest.TempPathFactory, start_loader: "StartLoader") -> tuple["Loader", Path, str]:
    """Kill the engine that fills an SQLite archive, at moments that the seed decides."""
    folder = tmp_path_factory.mktemp("killed")
    path, url = folder / "play.db", f"sqlite:///{folder / 'archive.db'}"
    dice, loader = random.Random(20_261_121), start_loader(path, url)
    for _ in range(SQLITE_CYCLES):
        loader.live_and_die(dice.randrange(200), dice.uniform(0, 0.15))
    loader.close()
    return loader, path, url


def test_an_sqlite_archive_equals_the_outbox_after_many_kills(killed_engine: tuple["Loader", Path, str]) -> None:
    loader, path, url = killed_engine
    outbox, before = Outbox(path), Shelf(url)
    # Killed in the middle of it: much was archived, and not all.
    assert 0 < len(before.settlements) < len(outbox.ended)
    assert chain_problems(before.settlements, whole=True) == []
    assert asyncio.run(catch_up(path, url)) == sum(outbox.heads.values()) - sum(before.cursors.values())
    check_equal(outbox, Shelf(url))
    assert len(outbox.ended) > 10 * SQLITE_CYCLES
    assert set(loader.ended) <= {session.id for session in outbox.ended}
    assert loader.errors == []


def test_a_postgresql_archive_equals_the_outbox_after_both_were_killed_many_times(
    tmp_path: Path, postgres: Postgres, start_loader: "StartLoader"
) -> None:
    path, url = tmp_path / "play.db", postgres.url()
    dice, loader = random.Random(20_261_122), start_loader(path, url)
    for _ in range(POSTGRES_CYCLES):
        loader.live()
        loader.answer(dice.randrange(400))
        postgres.kill()
        loader.answer(MORE_THAN_A_PIPE_HOLDS)  # play goes on
        postgres.start()
        loader.answer(dice.randrange(800))
        loader.die(dice.uniform(0, 0.4))
    loader.close()
    outbox, before = Outbox(path), Shelf(url)
    assert 0 < len(before.settlements) < len(outbox.ended)
    asyncio.run(catch_up(path, url))
    check_equal(outbox, Shelf(url))
    assert set(loader.ended) <= {session.id for session in outbox.ended}
    assert loader.errors == []


async def test_a_process_finds_its_postgresql_again(postgres: Postgres, make_world: "WorldMaker") -> None:
    store = MemoryStore()
    async with await open_archive(postgres.url("back"), store) as archive:
        world = await make_world(store, background=True, archive=archive)
        await world.provision()
        await world.end(await world.open())
        await everything_is_archived(archive, store)
        postgres.kill()
        await world.end(await world.open())
        with pytest.raises(ArchiveAway):
            await archive.history.settlements(Filter(), page_token="", limit=10)
        postgres.start()
        await world.end(await world.open())
        await everything_is_archived(archive, store)
        found, _ = await archive.history.settlements(Filter(), page_token="", limit=10)
        assert len(found) == 3


async def everything_is_archived(archive: ArchiveOfStore, store: Store) -> None:
    """Wait until the projector in the background has come to the end."""
    async with asyncio.timeout(30):
        while {at: sequence for at, sequence in archive.positions().items() if sequence} != await store.heads():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # it tells nobody when it is done


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_projectors_of_several_processes_that_race_archive_everything_once(
    kind: str, killed_engine: tuple["Loader", Path, str], postgres: Postgres, tmp_path: Path
) -> None:
    _, path, _ = killed_engine
    url = postgres.url("race") if kind == "postgresql" else f"sqlite:///{tmp_path / 'race.db'}"
    command = [sys.executable, str(Path(__file__).with_name("projecting.py")), str(path), url]
    pipe = subprocess.PIPE
    racing = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    told = [[int(number) for number in process.communicate(timeout=100)[0].split()] for process in racing]
    outbox = Outbox(path)
    assert sum(archived for archived, _ in told) == sum(outbox.heads.values())
    assert sum(overtaken for _, overtaken in told) > 0, "it was no race"
    check_equal(outbox, Shelf(url))
