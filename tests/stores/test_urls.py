import subprocess
import sys
from pathlib import Path

import pytest
from playclock.stores.base import StoreError, StoreUnavailable
from playclock.stores.memory import MemoryStore
from playclock.stores.sqlite import SqliteStore
from playclock.stores.urls import open_store

from tests.redis_servers import free_ports


async def test_memory_is_a_store_of_its_own_each_time() -> None:
    one, other = await open_store("memory://"), await open_store("memory://")
    assert isinstance(one, MemoryStore)
    assert one is not other


async def test_three_slashes_are_a_path_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    store = await open_store("sqlite:///data/store.db")
    assert isinstance(store, SqliteStore)
    await store.close()
    assert (tmp_path / "data" / "store.db").is_file()


async def test_four_slashes_are_a_path_from_the_root(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/store.db")
    await store.close()
    assert (tmp_path / "store.db").is_file()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "names no store"),
        ("playclock.db", "names no store"),
        ("memory:", "names no store"),
        ("memory://here", "names no store"),
        ("postgresql://localhost/db", "names no store"),
        ("SQLITE:///store.db", "names no store"),
        ("sqlite://store.db", "lacks a slash"),
        ("sqlite://", "lacks a slash"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///store.db?mode=ro", "has options"),
    ],
)
async def test_any_other_address_is_refused_with_those_that_are_possible(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match=f"{reason}.*possible are memory://.*sqlite:///relative"):
        await open_store(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://", "lacks a host"),
        ("redis://:6379/0", "lacks a host"),
        ("redis://localhost:0/0", "a port that is none"),
        ("redis://localhost:65536", "a port that is none"),
        ("redis://localhost:port", "a port that is none"),
        ("redis://localhost:６３７９", "a port that is none"),  # noqa: RUF001
        ("redis://localhost/zero", "a database that is no number"),
        ("redis://localhost/-1", "a database that is no number"),
        ("redis://one,two/0", "names one server"),
        ("redis://localhost/0?retries=3", "an option that this version does not know: retries"),
        ("redis+sentinel://localhost", "lacks the service's name"),
        ("redis+sentinel://localhost/", "lacks the service's name"),
        ("redis+cluster://localhost/1", "has no databases"),
        ("redis+cluster://", "lacks a host"),
    ],
)
async def test_an_address_of_redis_that_makes_no_sense_is_refused(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason):
        await open_store(url)


async def test_a_redis_that_is_not_there_is_away() -> None:
    (port,) = free_ports(1)
    for url in (f"redis://u:hunter2@127.0.0.1:{port}/0", f"redis+cluster://:hunter2@127.0.0.1:{port}"):
        with pytest.raises(StoreUnavailable) as caught:
            await open_store(url)
        assert "hunter2" not in str(caught.value)


async def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(StoreError) as caught:
        await open_store("mysql://user:hunter2@localhost/db")
    assert "hunter2" not in str(caught.value)


def test_no_driver_is_imported_before_an_address_names_it() -> None:
    code = "import sys, playclock.stores.urls; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
