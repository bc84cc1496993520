"""What may go wrong between a store and its Redis: every call ends in time, nothing is done twice, and it goes on by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop
from playclock.stores.base import Commit, Event, Put, Store, StoreError, StoreUnavailable
from playclock.stores.urls import open_store

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import RedisServer, durable, running

LATE_SEC = 1.5

Spoil = Callable[[bytes], bytes | None]
"""Returns what is passed on of a reply; None closes the connection after it."""


def put(key: str, expect: int = 0, data: bytes = b"data") -> Commit:
    return Commit(
        partition=int(key[:2], 16),
        puts=(Put(key=key, expect=expect, data=data),),
        events=(Event(data=b"event", retain_until_ms=1),),
    )


async def seconds(call: Awaitable[object]) -> float:
    """Return after how many seconds a call heard that the store is away."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await call
    return time.monotonic() - started


class Front:
    """Stands in front of a server, and spoils what it answers as long as a test says so."""

    def __init__(self, port: int) -> None:
        self.spoil: Spoil = bytes
        self.accepted = 0
        self._port = port
        self._pumps: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._listener = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"

    async def stop(self) -> None:
        self._listener.close()
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)
        await self._listener.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        for pump in (self._pump(reader, back, bytes), self._pump(there, writer, self._spoiled)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    def _spoiled(self, data: bytes) -> bytes | None:
        return self.spoil(data)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoil: Spoil) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    passed = spoil(data)
                    if passed is None:
                        writer.write(data[: len(data) // 2])
                        break
                    writer.write(passed)
        finally:
            writer.close()


@pytest.fixture
async def front(redis_of_tests: RedisOfTests) -> AsyncIterator[Front]:
    redis_of_tests.empty()
    front = Front(redis_of_tests.servers[0].port)
    yield front
    await front.stop()


@pytest.fixture
async def store(front: Front) -> AsyncIterator[Store]:
    store = await open_store(await front.start())
    yield store
    await store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server that tests may stop and change."""
    with running([RedisServer(tmp_path_factory.mktemp("faults") / "data", *durable())]) as (server,):
        yield server


@pytest.fixture
async def own_store(server: RedisServer) -> AsyncIterator[Store]:
    server.say("FLUSHALL")
    store = await open_store(server.url)
    yield store
    server.resume()
    await store.close()


class TestSpoiledReplies:
    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda _: None, id="closed in the middle"),
            pytest.param(lambda data: data + b":1\r\n", id="one more than was asked"),
            pytest.param(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
            pytest.param(lambda data: data[::-1], id="garbage"),
            pytest.param(lambda data: data[:-1], id="never complete"),
            pytest.param(lambda _: b"", id="silence"),
            pytest.param(lambda _: b"$400000000\r\n" + b"x" * 60_000, id="longer than can be"),
        ],
    )
    async def test_it_is_not_known_whether_it_was_done_and_a_repeat_finds_out(
        self, front: Front, store: Store, spoil: Spoil
    ) -> None:
        front.spoil = spoil
        calls: list[Awaitable[object]] = [store.commit([put(f"{number:02x}:thing:a")]) for number in range(20)]
        calls += [store.get(["00:thing:a"]) for _ in range(20)]
        started = time.monotonic()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - started < LATE_SEC
        # Whoever was answered before it went wrong was answered; nobody hears anything else.
        assert all(isinstance(answer, list | StoreUnavailable) for answer in answers)
        front.spoil = bytes
        await back(store)
        again = await asyncio.gather(*(store.commit([put(f"{number:02x}:thing:a")]) for number in range(20)))
        for number, (conflict,) in enumerate(again):
            key = f"{number:02x}:thing:a"
            found = conflict.current[key] if conflict is not None else (await store.get([key]))[0]
            assert found is not None
            assert found.version == 1
        assert set((await store.heads()).values()) == {1}

    async def test_hundreds_of_callers_open_one_connection(self, front: Front, store: Store) -> None:
        assert front.accepted == 1
        front.spoil = lambda _: None
        await seconds(store.ping())
        front.spoil = bytes
        await asyncio.gather(*(store.get([f"{number:02x}:thing:a"]) for number in range(256)))
        assert front.accepted == 2

    async def test_callers_who_give_up_leave_the_answers_of_others_alone(self, store: Store) -> None:
        await store.commit([put(f"{number:02x}:thing:a", data=b"%d" % number) for number in range(200)])
        calls = [asyncio.ensure_future(store.get([f"{number:02x}:thing:a"])) for number in range(200)]
        await asyncio.sleep(0)
        for number in range(0, 200, 3):
            calls[number].cancel()
        for number, found in enumerate(await asyncio.gather(*calls, return_exceptions=True)):
            if number % 3 == 0:
                assert isinstance(found, asyncio.CancelledError)
            else:
                assert isinstance(found, list)
                assert found[0] is not None
                assert found[0].data == b"%d" % number

    async def test_a_store_that_is_closed_tells_those_who_wait(self, front: Front, store: Store) -> None:
        front.spoil = lambda _: b""
        calls = [asyncio.ensure_future(store.ping()) for _ in range(3)]
        await asyncio.sleep(0)
        await store.close()
        for call in calls:
            assert await seconds(call) < 0.5
        assert await seconds(store.ping()) < 0.5

    async def test_callers_of_a_connection_that_is_being_made_are_told_when_the_store_is_closed(
        self, front: Front, store: Store
    ) -> None:
        front.spoil = lambda _: None
        await seconds(store.ping())
        front.spoil = lambda _: b""
        call = asyncio.ensure_future(store.ping())
        await asyncio.sleep(0.05)
        await store.close()
        assert await seconds(call) < 0.5


async def back(store: Store) -> None:
    """Wait until the store answers."""
    deadline = time.monotonic() + 1  # a tick of the sweeper
    while True:
        try:
            return await store.ping()
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


class TestStandstill:
    async def test_those_who_come_later_do_not_wait_for_a_server_that_is_known_to_stand_still(
        self, server: RedisServer, own_store: Store
    ) -> None:
        server.pause()
        assert 0.5 < await seconds(own_store.ping()) < LATE_SEC
        # One after the other, as those do who queue for an account.
        started = time.monotonic()
        for _ in range(50):
            await seconds(own_store.ping())
        assert time.monotonic() - started < 1
        server.resume()
        await back(own_store)

    async def test_what_waits_for_it_is_bounded(self, server: RedisServer, own_store: Store) -> None:
        server.pause()
        mebibyte = b"x" * 1024 * 1024

        async def write(number: int) -> str:
            try:
                await own_store.commit([put(f"{number:02x}:thing:a", data=mebibyte)])
            except StoreUnavailable as error:
                return str(error)
            return ""

        calls = []
        for number in range(60):
            calls.append(asyncio.ensure_future(write(number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        told = await asyncio.gather(*calls)
        assert told.count("Redis does not answer") < 30  # the kernel takes some, too
        assert told.count("Redis does not take in what it is sent") > 30
        server.resume()
        await back(own_store)

    @pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
    def test_a_process_that_stood_still_itself_hears_its_answers(
        self, redis_of_tests: RedisOfTests, new_loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        async def stand_still() -> None:
            store = await open_store(redis_of_tests.url)
            calls = [asyncio.ensure_future(store.ping()) for _ in range(3)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            time.sleep(1.2)  # noqa: ASYNC251 - this is the point
            await asyncio.gather(*calls)
            await store.close()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(stand_still())

    async def test_a_commit_that_was_given_up_and_is_carried_out_later_counts_once(
        self, server: RedisServer, own_store: Store
    ) -> None:
        await own_store.commit([put("01:thing:a")])  # the script is known
        server.pause()
        for _ in range(3):
            await seconds(own_store.commit([put("00:thing:a")]))
        server.resume()
        await back(own_store)
        (conflict,) = await own_store.commit([put("00:thing:a")])
        assert conflict is not None
        found = conflict.current["00:thing:a"]
        assert found is not None
        assert found.version == 1
        assert await own_store.heads() == {0: 1, 1: 1}


class TestRefusals:
    async def test_a_full_server_refuses_and_has_written_nothing(self, server: RedisServer, own_store: Store) -> None:
        await own_store.commit([put("00:thing:a")])
        server.say("CONFIG", "SET", "maxmemory", 1)
        try:
            commit = Commit(
                partition=0,
                puts=(
                    Put(key="00:thing:a", expect=1, data=b"x" * 1_000, due_ms=None),
                    Put(key="00:thing:b", expect=0, data=b"x" * 1_000, due_ms=5, retain_until_ms=5),
                ),
                events=(Event(data=b"x" * 1_000, retain_until_ms=1),),
            )
            with pytest.raises(StoreUnavailable, match="OOM"):
                await own_store.commit([commit])
            found = await own_store.get(["00:thing:a", "00:thing:b"])
            assert [None if record is None else (record.version, record.data) for record in found] == [(1, b"data"), None]
            assert await own_store.heads() == {0: 1}
            assert await own_store.due_partitions(10) == []
        finally:
            server.say("CONFIG", "SET", "maxmemory", 0)
        assert await own_store.commit([commit]) == [None]

    async def test_a_server_that_begins_to_ask_for_a_password_is_away(self, server: RedisServer, own_store: Store) -> None:
        server.say("CONFIG", "SET", "requirepass", "secret")
        with server.client(password="secret") as client:
            client.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(StoreUnavailable):
                await own_store.ping()
            client.config_set("requirepass", "")
        await back(own_store)


async def test_a_server_that_went_away_is_refused_quickly_and_found_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "data", *durable())
    with running([server]):
        store = await open_store(server.url)
        await store.commit([put("00:thing:a")])
        server.kill()
        for _ in range(20):
            assert await seconds(store.get(["00:thing:a"])) < 0.5
        server.start()
        await back(store)
        assert await store.commit([put("00:thing:a", expect=1)]) == [None]  # and the script is loaded anew
        await store.close()


async def test_a_restart_on_a_snapshot_alone_is_refused(tmp_path: Path) -> None:
    before = RedisServer(tmp_path / "data", "--save", "", "--appendonly", "no")
    with running([before]):
        store = await open_store(f"{before.url}?durability=none")
        await store.commit([put("00:thing:a")])
        before.say("SAVE")
        await store.commit([put("00:thing:a", expect=1)])
        await store.close()
        before.kill()
        before.start()
        with pytest.raises(StoreError, match="keeps no append-only file"):
            await open_store(before.url)
