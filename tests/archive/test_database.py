"""Opening a database: made once, brought up to date, and refused with a sentence where it cannot be used."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from playclock.archive.archive import Archive
from playclock.archive.cursors import Cursor, load_cursors
from playclock.archive.database import VERSION_TABLE
from playclock.archive.errors import ArchiveError
from playclock.archive.schema import metadata
from playclock.stores.sqlite import SqliteStore
from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from tests.archive.conftest import ArchiveOpener


async def test_the_migrations_make_what_the_schema_says(archive: Archive) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}), metadata))

    assert await archive.database.run(differences) == []


async def test_processes_that_start_at_once_make_the_tables_once(open_archive: "ArchiveOpener") -> None:
    opened = await asyncio.gather(*(open_archive() for _ in range(4)))
    for archive in opened:
        assert await archive.entries("nobody", page_token="", limit=1) == ([], "")


async def test_when_too_many_wait_the_rest_hear_at_once_that_it_is_away(archive: Archive) -> None:
    asked = [archive.entries("nobody", page_token="", limit=1) for _ in range(150)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert Counter(map(repr, answers)) == {"([], '')": 100, "ArchiveAway('too many ask the archive at once')": 50}
    assert await archive.entries("nobody", page_token="", limit=1) == ([], "")


async def test_what_the_first_version_wrote_is_kept(open_archive: "ArchiveOpener", monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
    archive = await open_archive()
    monkeypatch.undo()
    did = "INSERT INTO audit (partition, sequence, at_ms, actor, action, target, detail) VALUES (7, {}, 1, 'a', 'b', 'c', 'd')"

    def write(connection: Connection) -> None:
        connection.execute(text("INSERT INTO cursors (partition, sequence, digest) VALUES (7, 2, 'abc')"))
        connection.execute(text(did.format(1)))
        connection.execute(text(did.format(2)))

    await archive.database.run(write)
    archive.database._is_prepared = False
    assert (await archive.database.run(load_cursors))[7] == Cursor(2, "abc", epoch="", safe_sequence=0, safe_digest="")
    kept = await archive.database.run(lambda c: c.execute(text("SELECT number, digest FROM audit ORDER BY number")).all())
    assert [tuple(row) for row in kept] == [(1, "7/1"), (2, "7/2")]


async def test_a_newer_database_is_refused(archive: Archive, kind: str, open_archive: "ArchiveOpener") -> None:
    await archive.database.run(lambda c: c.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")) and None)
    if kind != "sqlite in memory":
        with pytest.raises(ArchiveError, match="newer version of playclock"):
            await open_archive()


async def test_what_cannot_be_an_archive_is_refused_without_telling_its_password(
    tmp_path: Path, open_archive: "ArchiveOpener"
) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.close()
    urls = ["nonsense", "mysql://me:secret@host/x", f"sqlite:///{tmp_path / 'store.db'}", f"sqlite:///{tmp_path}/no/a.db"]
    for url in urls:
        with pytest.raises(ArchiveError) as caught:
            await open_archive(url)
        assert "secret" not in str(caught.value)
