"""durability=replicas:N: what was answered lies with N replicas, or the caller hears that it may not last."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from playclock.stores.base import Commit, Event, Put, Store, StoreUnavailable
from playclock.stores.urls import open_store

from tests.redis_servers import RedisServer, durable, running

LATE_SEC = 1.5


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, RedisServer]]:
    """Run a master and a replica of it."""
    folder = tmp_path_factory.mktemp("replicas")
    master = RedisServer(folder / "master", *durable("--repl-diskless-sync-delay", "0"))
    replica = RedisServer(folder / "replica", *durable("--replicaof", "127.0.0.1", str(master.port)))
    with running([master, replica]):
        deadline = time.monotonic() + 20
        while "up" not in str(replica.say("INFO", "replication")["master_link_status"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield master, replica


@pytest.fixture
def replica(servers: tuple[RedisServer, RedisServer]) -> Iterator[RedisServer]:
    yield servers[1]
    servers[1].resume()


@pytest.fixture
async def store(servers: tuple[RedisServer, RedisServer]) -> AsyncIterator[Store]:
    master, _ = servers
    master.say("FLUSHALL")
    store = await open_store(f"{master.url}?durability=replicas:1")
    yield store
    await store.close()


def put(key: str, expect: int = 0) -> Commit:
    return Commit(
        partition=int(key[:2], 16),
        puts=(Put(key=key, expect=expect, data=b"data"),),
        events=(Event(data=b"event", retain_until_ms=1),),
    )


async def test_what_was_answered_lies_with_the_replica(store: Store, replica: RedisServer) -> None:
    for number in range(50):
        assert await store.commit([put(f"00:thing:{number}")]) == [None]
        assert replica.say("EXISTS", f"{{p:00}}r:thing:{number}") == 1


async def test_concurrent_commits_wait_for_the_replica_together(store: Store, servers: tuple[RedisServer, RedisServer]) -> None:
    master, _ = servers
    master.say("CONFIG", "RESETSTAT")
    answers = await asyncio.gather(*(store.commit([put(f"{number:02x}:thing:x")]) for number in range(200)))
    assert answers == [[None]] * 200
    stats = master.say("INFO", "commandstats")
    assert stats["cmdstat_evalsha"]["calls"] >= 200
    assert stats["cmdstat_wait"]["calls"] < 10


async def test_what_the_replica_does_not_have_in_time_is_not_known_and_happens_once(store: Store, replica: RedisServer) -> None:
    replica.pause()
    for _ in range(2):
        started = time.monotonic()
        # The second meets a conflict, and may not say so either: that the first was done may be forgotten again.
        with pytest.raises(StoreUnavailable, match="whether it lasts is not known"):
            await store.commit([put("00:thing:a")])
        assert time.monotonic() - started < LATE_SEC
    with pytest.raises(StoreUnavailable):
        await store.get(["00:thing:a"])  # or a caller who repeats would find it, and believe that it lasts
    replica.resume()
    (record,) = await store.get(["00:thing:a"])
    assert record is not None
    assert record.version == 1
    assert await store.commit([put("00:thing:a", expect=1)]) == [None]
    assert (await store.heads())[0] == 2


async def test_nobody_waits_for_long_while_the_replica_stands_still(store: Store, replica: RedisServer) -> None:
    replica.pause()

    async def attempt(number: int) -> float:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.commit([put(f"{number:02x}:thing:b")])
        return time.monotonic() - started

    attempts = []
    for number in range(40):
        attempts.append(asyncio.ensure_future(attempt(number)))
        await asyncio.sleep(0.02)  # a caller every 20 ms: they do not come in one turn of the loop
    assert max(await asyncio.gather(*attempts)) < LATE_SEC
    replica.resume()


async def test_more_replicas_than_there_are_are_waited_for_in_vain(
    servers: tuple[RedisServer, RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    store = await open_store(f"{servers[0].url}?durability=replicas:2")
    assert "Redis has too few replicas now, so commits will be refused" in caplog.messages
    with pytest.raises(StoreUnavailable):
        await store.commit([put("00:thing:c")])
    await store.close()


async def test_a_caller_who_gives_up_takes_nobody_along(store: Store) -> None:
    calls = [asyncio.ensure_future(store.commit([put(f"{number:02x}:thing:d")])) for number in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()
    assert await asyncio.gather(*calls[1:]) == [[None]] * 9
