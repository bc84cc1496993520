"""What is SQLite's own: the file, other processes, the thread that writes. The contract has its own tests."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
from playclock.stores import sqlite_writer
from playclock.stores.base import ABSENT, UNMOVED, Commit, Due, Event, Put, Record, StoreError, StoreUnavailable
from playclock.stores.sqlite import SqliteStore
from playclock.stores.sqlite_file import APPLICATION_ID, FORMAT

INCREMENTS = 250

INCREMENT = """
import asyncio, sys
from playclock.stores.base import Commit, Put
from playclock.stores.sqlite import SqliteStore

async def main(path, times):
    print("ready", flush=True)
    sys.stdin.readline()
    store = await SqliteStore.open(path, busy_timeout_ms=60_000)
    record = None
    for _ in range(times):
        while True:
            version, value = (record.version, int(record.data)) if record else (0, 0)
            put = Put(key="ab1", expect=version, data=b"%d" % (value + 1))
            conflict = (await store.commit([Commit(partition=0xAB, puts=[put])]))[0]
            if conflict is None:
                break
            record = conflict.current["ab1"]
        [record] = await store.get(["ab1"])
    await store.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, busy_timeout_ms=20)
    yield store
    await store.close()


def contents(path: Path) -> bytes:
    return path.read_bytes()


def fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def write(key: str, expect: int = ABSENT, data: bytes = b"data", *, due_ms: int | None = None) -> Commit:
    return Commit(partition=0xAB, puts=[Put(key=key, expect=expect, data=data, due_ms=due_ms)])


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.communicate("go\n", timeout=60)
    assert process.returncode == 0


@asynccontextmanager
async def busy_writer(store: SqliteStore) -> AsyncIterator[Callable[[], None]]:
    """Keep the writer busy, so that what is given to it meanwhile must wait, until what is yielded is called."""
    started, released = threading.Event(), threading.Event()

    def work(_: sqlite3.Connection) -> None:
        started.set()
        assert released.wait(60)

    working = store._writer.call(work)
    assert await asyncio.to_thread(started.wait, 60)
    try:
        yield released.set
    finally:
        released.set()
        await working


async def give(store: SqliteStore, *commits: Commit) -> list[asyncio.Task[object]]:
    tasks = [asyncio.create_task(commit_one(store, commit)) for commit in commits]
    await asyncio.sleep(0)
    return tasks


async def commit_one(store: SqliteStore, commit: Commit) -> object:
    return (await store.commit([commit]))[0]


class TestFile:
    async def test_what_was_committed_is_there_when_the_file_is_opened_again(self, path: Path) -> None:
        store = await SqliteStore.open(path)
        event = Event(data=b"e", retain_until_ms=9)
        put = Put(key="ab1", expect=ABSENT, data=b"\x00\xff", due_ms=7)
        assert await store.commit([Commit(partition=0xAB, puts=[put], events=[event])]) == [None]
        await store.close()

        store = await SqliteStore.open(path)
        assert await store.get(["ab1"]) == [Record(1, b"\x00\xff")]
        assert await store.due(0xAB, 7, 10) == [Due(7, "ab1")]
        assert await store.heads() == {0xAB: 1}
        await store.close()

    async def test_nobody_else_may_read_the_file_or_its_log(self, store: SqliteStore, path: Path) -> None:
        await store.commit([write("ab1")])
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
        assert [stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files] == [0, 0, 0]

    async def test_every_answer_is_flushed_to_the_disk(self, store: SqliteStore) -> None:
        def settings(connection: sqlite3.Connection) -> list[object]:
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

        full = 2
        assert await store._writer.call(settings) == ["wal", full]

    async def test_a_closed_file_has_no_log_beside_it(self, path: Path) -> None:
        store = await SqliteStore.open(path)
        await store.commit([write("ab1")])
        await store.close()
        assert list(path.parent.iterdir()) == [path]

    async def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"folder .*/missing .*does not exist"):
            await SqliteStore.open(tmp_path / "missing" / "store.db")

    async def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="is a folder"):
            await SqliteStore.open(tmp_path)

    async def test_a_file_that_cannot_be_made_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="cannot be made: File name too long"):
            await SqliteStore.open(tmp_path / ("x" * 300))

    async def test_an_empty_file_is_a_new_one(self, path: Path) -> None:
        fill(path, b"")
        store = await SqliteStore.open(path)
        assert await store.commit([write("ab1")]) == [None]
        await store.close()

    async def test_a_newer_format_is_refused(self, path: Path) -> None:
        await (await SqliteStore.open(path)).close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
        with pytest.raises(StoreError, match=f"newer version.*format {FORMAT + 1}.*upgrade"):
            await SqliteStore.open(path)

    @pytest.mark.parametrize("statement", ["CREATE TABLE t (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"])
    async def test_the_file_of_another_program_is_refused_and_left_as_it_is(self, path: Path, statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
        before = contents(path)
        with pytest.raises(StoreError, match="another program"):
            await SqliteStore.open(path)
        assert contents(path) == before
        assert list(path.parent.iterdir()) == [path]

    async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(self, path: Path) -> None:
        before = b"the shopping list\n" * 100
        fill(path, before)
        with pytest.raises(StoreError, match="no SQLite file"):
            await SqliteStore.open(path)
        assert contents(path) == before

    async def test_the_mark_of_our_files_never_changes(self, path: Path) -> None:
        await (await SqliteStore.open(path)).close()
        header = contents(path)[:100]
        assert header[68:72] == b"plck" == APPLICATION_ID.to_bytes(4, "big")


class TestProcesses:
    def test_two_processes_on_one_new_file_lose_no_increment(self, path: Path) -> None:
        command = [sys.executable, "-c", INCREMENT, str(path), str(INCREMENTS)]
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
        assert [process.communicate(timeout=100) for process in processes] == [("", "")] * 2
        with closing(sqlite3.connect(path)) as connection:
            [(version, data)] = connection.execute("SELECT version, data FROM records").fetchall()
        assert (version, data) == (2 * INCREMENTS, b"%d" % (2 * INCREMENTS))

    async def test_a_file_that_another_process_locks_is_unavailable_to_writes_until_it_is_freed(
        self, store: SqliteStore, path: Path
    ) -> None:
        await store.commit([write("ab1", data=b"before")])
        with locked_by_another_process(path):
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.commit([write("ab1", 1)])
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.collect(0, 1)
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.ping()
            assert await store.get(["ab1"]) == [Record(1, b"before")]
        await store.ping()
        assert await store.commit([write("ab1", 1, b"after")]) == [None]
        assert await store.get(["ab1"]) == [Record(2, b"after")]

    async def test_a_locked_file_cannot_be_opened_for_the_first_time(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await SqliteStore.open(path, busy_timeout_ms=20)
            connection.execute("ROLLBACK")
        await (await SqliteStore.open(path)).close()


class TestGroups:
    async def test_all_commits_that_wait_go_into_one_transaction(self, store: SqliteStore) -> None:
        async with busy_writer(store) as release:
            tasks = await give(store, *(write(f"ab{n}") for n in range(50)))
            release()
            assert await asyncio.gather(*tasks) == [None] * 50
        assert store.transactions == 2

    async def test_a_group_has_an_end(self, store: SqliteStore) -> None:
        async with busy_writer(store) as release:
            calls = [asyncio.create_task(store.commit([write(f"ab{call}-{n}") for n in range(600)])) for call in range(3)]
            await asyncio.sleep(0)
            release()
            assert await asyncio.gather(*calls) == [[None] * 600] * 3
        assert store.transactions == 3

    async def test_commits_of_one_group_see_each_other_in_the_order_they_came(self, store: SqliteStore) -> None:
        async with busy_writer(store) as release:
            tasks = await give(store, *(write("ab1", n, b"%d" % n, due_ms=n) for n in range(20)))
            release()
            assert await asyncio.gather(*tasks) == [None] * 20
        assert await store.get(["ab1"]) == [Record(20, b"19")]
        assert await store.due(0xAB, 99, 10) == [Due(19, "ab1")]

    async def test_what_cannot_be_written_fails_only_its_own_call(self, store: SqliteStore) -> None:
        async with busy_writer(store) as release:
            tasks = await give(store, write("ab1"), write("ab2", due_ms=1 << 64), write("ab3"))
            release()
            good, bad, other = await asyncio.gather(*tasks, return_exceptions=True)
        assert (good, other) == (None, None)
        assert isinstance(bad, OverflowError)
        with pytest.raises(OverflowError):
            await store.collect(1 << 64, 1)
        assert await store.get(["ab1", "ab2", "ab3"]) == [Record(1, b"data"), None, Record(1, b"data")]

    async def test_a_key_with_a_nul_is_refused(self, store: SqliteStore) -> None:
        with pytest.raises(ValueError, match="NUL"):
            await store.commit([write("ab\x001")])

    async def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_succeeds(self, store: SqliteStore) -> None:
        def room(connection: sqlite3.Connection, pages: int) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        await store._writer.call(lambda connection: room(connection, 1))
        async with busy_writer(store) as release:
            tasks = await give(store, *(write(f"ab{n}", data=bytes(100_000)) for n in range(2)))
            release()
            failures = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(failure) for failure in failures] == [StoreUnavailable] * 2
        assert "full" in str(failures[0])
        assert failures[0] is not failures[1]
        assert await store.get(["ab0", "ab1"]) == [None, None]

        await store._writer.call(lambda connection: room(connection, 1_000_000))
        assert await store.commit([write("ab0", data=bytes(100_000))]) == [None]

    async def test_a_damaged_file_is_named(self, store: SqliteStore, path: Path) -> None:
        await store.commit([write(f"ab{n}") for n in range(200)])
        await store._writer.call(lambda _: None)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        first_page, rest = contents(path)[:2048], contents(path)[2048:]
        fill(path, first_page + b"\xaa" * len(rest))
        with pytest.raises(StoreError, match=r"store\.db is damaged"):
            await store.due(0xAB, 1, 1)


class TestWriter:
    async def test_a_cancelled_caller_does_not_stop_the_others(self, store: SqliteStore) -> None:
        async with busy_writer(store) as release:
            first, second = await give(store, write("ab1"), write("ab2"))
            first.cancel()
            release()
            assert await second is None
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await store.get(["ab1", "ab2"]) == [Record(1, b"data")] * 2
        assert await store.commit([write("ab3")]) == [None]

    async def test_closing_finishes_what_waits(self, path: Path) -> None:
        store = await SqliteStore.open(path)
        async with busy_writer(store) as release:
            tasks = await give(store, *(write(f"ab{n}") for n in range(20)))
            closing_store = asyncio.create_task(store.close())
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="closed"):
                await store.commit([write("ab99")])
            release()
            assert await asyncio.gather(*tasks) == [None] * 20
            await closing_store
        store = await SqliteStore.open(path)
        assert None not in await store.get([f"ab{n}" for n in range(20)])
        await store.close()

    async def test_closing_goes_on_when_its_caller_is_cancelled(self, path: Path) -> None:
        store = await SqliteStore.open(path)
        async with busy_writer(store) as release:
            impatient = asyncio.create_task(store.close())
            await asyncio.sleep(0)
            impatient.cancel()
            with pytest.raises(asyncio.CancelledError):
                await impatient
            release()
        await store.close()
        assert not store._writer._thread.is_alive()

    async def test_a_loop_that_is_never_idle_does_not_starve_the_writer(self, store: SqliteStore) -> None:
        done = False

        async def never_idle() -> None:
            while not done:
                sum(range(20_000))
                await asyncio.sleep(0)

        spinning = asyncio.create_task(never_idle())
        # Took half a second per commit, before the loop stood still for a writer that is behind.
        async with asyncio.timeout(10):
            for version in range(20):
                assert await store.commit([write("ab1", version)]) == [None]
        done = True
        await spinning

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    async def test_nobody_waits_for_a_writer_that_has_died(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = await SqliteStore.open(path)

        def mistake(*_: object) -> None:
            raise LookupError("a mistake of ours")

        monkeypatch.setattr(sqlite_writer, "apply", mistake)
        async with busy_writer(store) as release:
            first, second = await give(store, *(write(f"ab{n}") for n in range(2)))
            release()
            for task in (first, second):
                with pytest.raises(StoreUnavailable, match="stopped"):
                    await task
        await store._writer.stopped()
        with pytest.raises(StoreUnavailable, match="stopped"):
            await store.commit([write("ab9")])
        await store.close()


class TestIndexes:
    async def test_a_write_that_moves_no_time_touches_no_index(self, store: SqliteStore) -> None:
        await store.commit([write("ab1", due_ms=7)])
        put = Put(key="ab1", expect=1, data=b"new", due_ms=UNMOVED)
        statements: list[str] = []
        await store._writer.call(lambda connection: connection.set_trace_callback(statements.append))
        assert await store.commit([Commit(partition=0xAB, puts=[put])]) == [None]
        await store._writer.call(lambda connection: connection.set_trace_callback(None))
        [update] = [statement for statement in statements if "INSERT INTO records" in statement]
        assert "due_ms" not in update
        assert "retain_until_ms" not in update

    @pytest.mark.parametrize(
        ("call", "index"),
        [
            ("SELECT key FROM records WHERE key = 'ab1'", "sqlite_autoindex_records_1"),
            ("SELECT 1 FROM records WHERE partition = 1 AND due_ms <= 9", "records_due"),
            ("SELECT key FROM records WHERE retain_until_ms <= 9 ORDER BY retain_until_ms LIMIT 9", "records_retained"),
        ],
    )
    async def test_questions_are_answered_from_an_index(self, store: SqliteStore, call: str, index: str) -> None:
        [*_, detail] = store._reader.execute(f"EXPLAIN QUERY PLAN {call}").fetchall()[0]
        assert detail.startswith("SEARCH")
        assert index in detail

    async def test_a_page_of_due_entries_is_read_in_order_from_the_index(self, store: SqliteStore) -> None:
        from playclock.stores.sqlite import _DUE

        plan = [row[3] for row in store._reader.execute(f"EXPLAIN QUERY PLAN {_DUE}", (1, 9, 0, "", 5)).fetchall()]
        assert len(plan) == 1
        assert "COVERING INDEX records_due" in plan[0]
