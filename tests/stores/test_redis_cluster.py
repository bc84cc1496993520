"""A Redis Cluster in use: a slot moves to another server, and one of the servers stands still."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import closing

import pytest
from playclock.stores.base import UNMOVED, Commit, Conflict, Due, Event, Put, Record, Store, StoreUnavailable
from playclock.stores.redis import RedisStore
from playclock.stores.redis_urls import open_redis
from redis.crc import key_slot

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import RedisServer

SLOT = key_slot(b"{p:00}")
MANY = 50


@pytest.fixture
async def store(cluster_of_tests: RedisOfTests) -> AsyncIterator[RedisStore]:
    cluster_of_tests.empty()
    store = await open_redis(cluster_of_tests.url)
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
    assert refused == {"Redis refuses: TRYAGAIN"}

    await asyncio.to_thread(move, servers, source, target, begin=False, end=True)
    found = await store.get([f"00:thing:{number}" for number in range(MANY)])
    assert [record and record.version for record in found] == [2 if number in done else 1 for number in range(MANY)]
    assert await store.heads() == {0: MANY + len(done)}
    assert await store.commit([put(MANY, 0)]) == [None]


def holder(servers: list[RedisServer]) -> tuple[RedisServer, RedisServer]:
    """Return who holds the slot, and who could."""
    [source] = [server for server in servers if server.say("CLUSTER", "COUNTKEYSINSLOT", SLOT)]
    return source, next(server for server in servers if server is not source)


def beat(number: int, expect: int) -> Commit:
    return Commit(partition=0, puts=(Put(key=f"00:thing:{number}", expect=expect, data=b"%d" % expect, due_ms=UNMOVED),))


class Beating:
    """Heartbeats that come all the time, one by one and together. Each has to be answered, and to be done once."""

    def __init__(self, store: RedisStore, count: int) -> None:
        self.versions = dict.fromkeys(range(count), 1)
        self._store = store
        self._tasks = [asyncio.create_task(self._one(number)) for number in range(count // 2)]
        self._tasks.append(asyncio.create_task(self._many(range(count // 2, count))))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome

    async def rounds(self, more: int) -> None:
        """Wait until each has been heard so many times more."""
        until = {number: version + more for number, version in self.versions.items()}
        deadline = time.monotonic() + 10
        while any(self.versions[number] < version for number, version in until.items()):
            assert time.monotonic() < deadline
            assert not any(task.done() for task in self._tasks)
            await asyncio.sleep(0.01)

    async def _one(self, number: int) -> None:
        while True:
            await self._say([number])

    async def _many(self, numbers: range) -> None:
        while True:
            await self._say(numbers)

    async def _say(self, numbers: Iterable[int]) -> None:
        # Not to be cancelled between the server and the count.
        await asyncio.shield(self._counted(list(numbers)))

    async def _counted(self, numbers: list[int]) -> None:
        answers = await self._store.commit([beat(number, self.versions[number]) for number in numbers])
        assert answers == [None] * len(numbers)
        for number in numbers:
            self.versions[number] += 1


async def test_heartbeats_and_reads_are_answered_and_right_while_their_slot_moves_there_and_back(
    store: RedisStore, cluster_of_tests: RedisOfTests, caplog: pytest.LogCaptureFixture
) -> None:
    servers = list(cluster_of_tests.servers)
    assert await store.commit([put(number, 0) for number in range(MANY)]) == [None] * MANY
    keys = [f"00:thing:{number}" for number in range(MANY + 1)]
    source, target = holder(servers)
    beating = Beating(store, MANY)
    for here, there in ((source, target), (target, source)):
        await asyncio.to_thread(move, servers, here, there, begin=True, end=False)
        await beating.rounds(3)
        assert here.say("CLUSTER", "COUNTKEYSINSLOT", SLOT)
        assert there.say("CLUSTER", "COUNTKEYSINSLOT", SLOT)
        *found, absent = await store.get(keys)
        assert absent is None
        assert [int(record.data) + 1 == record.version for record in found if record] == [True] * MANY
        assert len(await store.due(0, 10, 1000)) == MANY
        assert len(await store.events({0: 0}, 1000)) == MANY
        await asyncio.to_thread(move, servers, here, there, begin=False, end=True)
        await beating.rounds(3)
        assert holder(servers)[0] is there
    await beating.stop()
    await store.ping()
    versions = [record and record.version for record in await store.get(keys[:-1])]
    assert versions == list(beating.versions.values())
    # What a server had written in the middle of the move was taken for lost by nobody.
    assert (store.journal.put_back, store.journal.given_up) == (0, 0)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_commit_on_a_slot_that_moves_is_whole_also_where_it_empties_an_index(
    store: RedisStore, cluster_of_tests: RedisOfTests
) -> None:
    servers = list(cluster_of_tests.servers)
    first = Commit(
        partition=0,
        puts=(Put(key="00:a", expect=0, data=b"1", due_ms=1), Put(key="00:b", expect=0, data=b"1", retain_until_ms=1)),
        events=(Event(data=b"event", retain_until_ms=1),),
    )
    assert await store.commit([first]) == [None]
    source, target = holder(servers)
    ids = {server: str(server.say("CLUSTER", "MYID"), "ascii") for server in (source, target)}
    target.say("CLUSTER", "SETSLOT", SLOT, "IMPORTING", ids[source])
    source.say("CLUSTER", "SETSLOT", SLOT, "MIGRATING", ids[target])
    # The only member leaves each index, and another one comes.
    swap = Commit(
        partition=0,
        puts=(
            Put(key="00:a", expect=1, data=b"2", due_ms=None, retain_until_ms=1),
            Put(key="00:b", expect=1, data=b"2", due_ms=1, retain_until_ms=None),
        ),
        events=(Event(data=b"event", retain_until_ms=1),),
    )
    try:
        assert await store.commit([swap]) == [None]
        assert await store.get(["00:a", "00:b"]) == [Record(2, b"2"), Record(2, b"2")]
        assert await store.due(0, 1, 10) == [Due(1, "00:b")]
    finally:
        for server in (source, target):
            server.say("CLUSTER", "SETSLOT", SLOT, "STABLE")


async def test_what_names_an_epoch_waits_until_the_slot_has_moved(store: RedisStore, cluster_of_tests: RedisOfTests) -> None:
    servers = list(cluster_of_tests.servers)
    assert await store.commit([put(0, 0)]) == [None]
    source, target = holder(servers)
    epoch = await store.epoch(0)
    redeem = Commit(partition=0, puts=(Put(key="00:thing:0", expect=1, data=b"used"),), epoch=epoch)
    await asyncio.to_thread(move, servers, source, target, begin=True, end=False)
    for key in source.say("CLUSTER", "GETKEYSINSLOT", SLOT, 100):
        source.say("MIGRATE", "127.0.0.1", target.port, key, 0, 5_000)
    with pytest.raises(StoreUnavailable, match="moves to another server"):
        await store.commit([redeem])
    await asyncio.to_thread(move, servers, source, target, begin=False, end=True)
    [conflict] = await store.commit([redeem])
    assert conflict == Conflict({"00:thing:0": Record(1, b"data")})
    assert await store.epoch(0) != epoch


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
