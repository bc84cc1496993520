"""Heartbeats that come at the same time share a script: each hears its own outcome, whatever becomes of the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from playclock.stores.base import UNMOVED, Commit, Conflict, Put, Record, StoreUnavailable
from playclock.stores.redis import RedisStore
from playclock.stores.redis_urls import open_redis

from tests.redis_servers import RedisServer, durable, running

MANY = 450


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server that tests may stop and change."""
    with running([RedisServer(tmp_path_factory.mktemp("renewals") / "data", *durable())]) as (server,):
        yield server


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    server.say("FLUSHALL")
    store = await open_redis(server.url)
    assert await store.commit([first(number) for number in range(MANY)]) == [None] * MANY
    yield store
    server.resume()
    await store.close()


def key(number: int) -> str:
    return f"{number % 256:02x}:thing:{number}"


def first(number: int) -> Commit:
    return Commit(partition=number % 256, puts=(Put(key=key(number), expect=0, data=b"first", due_ms=1),))


def beat(number: int, expect: int = 1, data: bytes = b"beat") -> Commit:
    return Commit(partition=number % 256, puts=(Put(key=key(number), expect=expect, data=data, due_ms=UNMOVED),))


def scripts(server: RedisServer) -> int:
    return int(server.say("INFO", "commandstats")["cmdstat_evalsha"]["calls"])


async def test_those_of_one_turn_share_scripts_and_each_hears_its_own_outcome(server: RedisServer, store: RedisStore) -> None:
    await store.commit([beat(7)])
    before = scripts(server)
    answers = await asyncio.gather(*(store.commit([beat(number)]) for number in range(MANY)))
    assert scripts(server) - before == -(-MANY // 100)
    assert answers[7] == [Conflict({key(7): Record(2, b"beat")})]
    assert [number for number, answer in enumerate(answers) if answer != [None]] == [7]
    assert {record and record.version for record in await store.get([key(number) for number in range(MANY)])} == {2}


async def test_those_who_come_while_one_is_under_way_leave_together(server: RedisServer, store: RedisStore) -> None:
    before = scripts(server)
    server.pause()
    calls = [asyncio.ensure_future(store.commit([beat(0)]))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(1, 60):
        calls.append(asyncio.ensure_future(store.commit([beat(number)])))
        await asyncio.sleep(0)
    server.resume()
    assert await asyncio.gather(*calls) == [[None]] * 60
    assert scripts(server) - before == 2


async def test_one_record_may_be_written_twice_in_one_script(store: RedisStore) -> None:
    answers = await asyncio.gather(*(store.commit([beat(3, expect, b"%d" % expect)]) for expect in (1, 2, 2, 3)))
    assert [answer == [None] for answer in answers] == [True, True, False, True]
    assert await store.get([key(3)]) == [Record(4, b"3")]


async def test_who_gives_up_takes_nobody_along_and_is_remembered_if_it_took_effect(store: RedisStore) -> None:
    calls = [asyncio.ensure_future(store.commit([beat(number)])) for number in range(9)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls[4].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers.pop(4), asyncio.CancelledError)
    assert answers == [[None]] * 8
    await store.ping()
    found = await store.get([key(4)])
    assert found == [Record(2, b"beat")]

    said: list[Commit] = []

    async def send(commits: object) -> list[None]:
        assert isinstance(commits, list)
        said.extend(commits)
        return [None] * len(commits)

    await store.journal.restore(4, 0.0, b"else", send)
    assert said == [first(4), first(4 + 256), beat(4)]


async def test_a_server_that_forgets_its_scripts_is_taught_and_nothing_is_done_twice(
    server: RedisServer, store: RedisStore
) -> None:
    server.say("SCRIPT", "FLUSH")
    assert await asyncio.gather(*(store.commit([beat(number)]) for number in range(50))) == [[None]] * 50
    assert {record and record.version for record in await store.get([key(number) for number in range(50)])} == {2}


async def test_a_full_server_refuses_all_of_them_and_has_done_nothing(server: RedisServer, store: RedisStore) -> None:
    server.say("CONFIG", "SET", "maxmemory", 1)
    try:
        answers = await asyncio.gather(*(store.commit([beat(number)]) for number in range(50)), return_exceptions=True)
    finally:
        server.say("CONFIG", "SET", "maxmemory", 0)
    assert {str(answer) for answer in answers} == {"Redis refuses: OOM"}
    assert {record and record.version for record in await store.get([key(number) for number in range(50)])} == {1}


async def test_all_hear_in_time_that_the_server_stands_still(server: RedisServer, store: RedisStore) -> None:
    await store.commit([beat(0)])
    server.pause()
    waits: list[float] = []

    async def attempt(number: int) -> None:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.commit([beat(number)])
        waits.append(time.monotonic() - started)

    calls = []
    for number in range(1, 30):
        calls.append(asyncio.ensure_future(attempt(number)))
        await asyncio.sleep(0.02)
    await asyncio.gather(*calls)
    assert max(waits) < 1.5
    server.resume()


async def test_a_store_that_is_closed_tells_those_who_wait_and_those_who_come(server: RedisServer, store: RedisStore) -> None:
    server.pause()
    calls = [asyncio.ensure_future(store.commit([beat(number)])) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls.append(asyncio.ensure_future(store.commit([beat(6)])))
    await asyncio.sleep(0)
    await store.close()
    answers = await asyncio.gather(*calls, store.commit([beat(7)]), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 7
