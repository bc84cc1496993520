"""A Redis Cluster in use: a slot moves to another server, and one of the servers stands still."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from playclock.stores.base import Commit, Event, Put, Store, StoreUnavailable
from playclock.stores.urls import open_store
from redis.crc import key_slot

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import RedisServer

SLOT = key_slot(b"{p:00}")
MANY = 50


@pytest.fixture
async def store(cluster_of_tests: RedisOfTests) -> AsyncIterator[Store]:
    cluster_of_tests.empty()
    store = await open_store(cluster_of_tests.url)
    yield store
    await store.close()


def put(number: int, expect: int) -> Commit:
    key = f"00:thing:{number}"
    events = (Event(data=b"event", retain_until_ms=1),)
    return Commit(partition=0, puts=(Put(key=key, expect=expect, data=b"data", due_ms=1),), events=events)


def move(servers: list[RedisServer], source: RedisServer, target: RedisServer, *, begin: bool, end: bool) -> None:
    """Move the slot: begin with half of its keys, end with the other half."""
    ids = {server: str(server.say("CLUSTER", "MYID"), "ascii") for server in (source, target)}
    if begin:
        target.say("CLUSTER", "SETSLOT", SLOT, "IMPORTING", ids[source])
        source.say("CLUSTER", "SETSLOT", SLOT, "MIGRATING", ids[target])
    with closing(source.client()) as client:
        keys = client.execute_command("CLUSTER", "GETKEYSINSLOT", SLOT, 10_000)  # type: ignore[no-untyped-call]
    for key in keys if end else keys[: len(keys) // 2]:
        source.say("MIGRATE", "127.0.0.1", target.port, key, 0, 5_000)
    if end:
        for server in (target, source, *servers):
            server.say("CLUSTER", "SETSLOT", SLOT, "NODE", ids[target])


async def test_it_is_followed_and_nothing_is_lost_or_half_done_meanwhile(store: Store, cluster_of_tests: RedisOfTests) -> None:
    servers = list(cluster_of_tests.servers)
    holding = [server for server in servers if server.say("CLUSTER", "COUNTKEYSINSLOT", SLOT)]
    assert len(holding) == 1, "the store has marked the database"
    source, target = holding[0], next(server for server in servers if server not in holding)
    assert await store.commit([put(number, 0) for number in range(MANY)]) == [None] * MANY

    # Redis answers for a slot that is split only where all keys of a script lie on one side: the others have to wait.
    await asyncio.to_thread(move, servers, source, target, begin=True, end=False)
    answers = await asyncio.gather(*(store.commit([put(number, 1)]) for number in range(MANY)), return_exceptions=True)
    done = [number for number, answer in enumerate(answers) if answer == [None]]
    refused = {str(answer) for answer in answers if answer != [None]}
    assert refused <= {"Redis refuses: ASK", "Redis refuses: TRYAGAIN"}

    await asyncio.to_thread(move, servers, source, target, begin=False, end=True)
    found = await store.get([f"00:thing:{number}" for number in range(MANY)])
    assert [record and record.version for record in found] == [2 if number in done else 1 for number in range(MANY)]
    assert await store.heads() == {0: MANY + len(done)}
    assert await store.commit([put(MANY, 0)]) == [None]


async def test_a_server_that_stands_still_holds_up_nobody_for_long_and_others_not_at_all(
    store: Store, cluster_of_tests: RedisOfTests
) -> None:
    await store.ping()
    still = next(server for server in cluster_of_tests.servers if server.say("CLUSTER", "COUNTKEYSINSLOT", SLOT))
    partitions = range(256)
    await asyncio.gather(*(store.get([f"{partition:02x}:thing:x"]) for partition in partitions))

    async def ask(partition: int) -> tuple[float, bool]:
        started = time.monotonic()
        try:
            await store.get([f"{partition:02x}:thing:x"])
        except StoreUnavailable:
            return time.monotonic() - started, False
        return time.monotonic() - started, True

    still.pause()
    try:
        answers = [await asyncio.gather(*map(ask, partitions)) for _ in range(2)]
    finally:
        still.resume()
    for (first, is_there), (second, is_there_again) in zip(*answers, strict=True):
        assert is_there == is_there_again
        assert max(first, second) < (0.5 if is_there else 1.5)
    assert 20 < sum(is_there for _, is_there in answers[0]) < 236
    deadline = time.monotonic() + 1.5
    while not all(is_there for _, is_there in await asyncio.gather(*map(ask, partitions))):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
