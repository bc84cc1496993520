"""Archives on every database there is: SQLite in memory and on a file, and a real PostgreSQL."""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playclock.archive.archive import Archive
from playclock.archive.database import Database

KINDS = ["sqlite in memory", "sqlite", "postgresql"]

ArchiveOpener = Callable[..., Awaitable[Archive]]
_NUMBERS = count()


class Postgres:
    """A PostgreSQL server of the tests' own, which can be killed."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which a server in a short folder does not need
            from pgserver.postgres_server import get_server
        for _ in range(3):
            self._folder = tempfile.mkdtemp(prefix="pg")
            try:
                self._server: Any = get_server(self._folder, cleanup_mode="stop")
            except subprocess.CalledProcessError as error:
                # To become another user, pgserver forks, and a fork of a process with gRPC's threads dies once in a while.
                if error.returncode != -signal.SIGSEGV:
                    raise
            else:
                return
        raise RuntimeError("initdb of PostgreSQL has died three times")

    def make_database(self) -> str:
        """Return the address of an empty database."""
        name = f"archive_{os.getpid()}_{next(_NUMBERS)}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "postgresql":
        return str(request.getfixturevalue("postgres").make_database())
    return "sqlite://" if kind == "sqlite in memory" else f"sqlite:///{tmp_path / 'archive.db'}"


@pytest.fixture
async def open_archive(kind: str, url: str) -> AsyncIterator[ArchiveOpener]:
    """Open the test's archive, or one at another address: each time as another process would.

    What is in memory belongs to one object.
    """
    opened: list[Archive] = []

    async def open_(address: str = url) -> Archive:
        if kind != "sqlite in memory" or not opened or address != url:
            opened.append(Archive(Database(address)))
            await opened[-1].database.run(lambda _: None)
        return opened[-1]

    yield open_
    for archive in opened:
        await archive.database.close()


@pytest.fixture
async def archive(open_archive: ArchiveOpener) -> Archive:
    return await open_archive()
