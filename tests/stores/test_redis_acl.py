"""The user that docs/operations.md names: the engine works with exactly that, and that user can do nothing else."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import redis
from playclock.stores.base import UNMOVED, Commit, Due, Event, Put, StoreUnavailable
from playclock.stores.redis import RedisStore
from playclock.stores.redis_urls import open_redis

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import RedisServer, cluster, durable, running, valkey_binary

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LOGIN = {"username": "playclock", "password": "PASSWORD"}


def allow(servers: Sequence[RedisServer]) -> None:
    """Say to each server what the manual says."""
    [line] = re.findall(r"^ACL SETUSER .*$", OPERATIONS.read_text(), flags=re.MULTILINE)
    for server in servers:
        server.say(*line.split(" "))


@pytest.fixture(scope="module", params=["redis", "valkey", "cluster"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisOfTests]:
    """Run servers that know the user."""
    folder = tmp_path_factory.mktemp("acl")
    if request.param == "cluster":
        with cluster(folder, masters=2) as started:
            allow(started)
            yield RedisOfTests(started, f"redis+cluster://playclock:PASSWORD@127.0.0.1:{started[1].port}")
        return
    binary = valkey_binary() if request.param == "valkey" else None
    with running([RedisServer(folder / "data", *durable(), binary=binary)]) as started:
        allow(started)
        yield RedisOfTests(started, f"redis://playclock:PASSWORD@127.0.0.1:{started[0].port}/3")


@pytest.fixture
async def store(servers: RedisOfTests, caplog: pytest.LogCaptureFixture) -> AsyncIterator[RedisStore]:
    servers.empty()
    store = await open_redis(servers.url)
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == []
    yield store
    await store.close()


def write(key: str, expect: int, *, due_ms: int | None = None, retain_until_ms: int | None = None) -> Commit:
    put = Put(key=key, expect=expect, data=b"data", due_ms=due_ms, retain_until_ms=retain_until_ms)
    return Commit(partition=int(key[:2], 16), puts=(put,), events=(Event(data=b"event", retain_until_ms=1),))


async def test_it_can_do_all_that_a_store_does(store: RedisStore) -> None:
    for partition in ("00", "ff"):
        assert await store.commit([write(f"{partition}:a", 0, due_ms=1), write(f"{partition}:b", 0, due_ms=1)]) == [None] * 2
        # In and out of each index, by a commit and by a heartbeat.
        assert await store.commit([write(f"{partition}:a", 1, retain_until_ms=1)]) == [None]
        beat = Put(key=f"{partition}:a", expect=2, data=b"beat", due_ms=UNMOVED)
        assert await store.commit([Commit(partition=int(partition, 16), puts=(beat,))]) == [None]
        assert await store.commit([write(f"{partition}:a", 3, retain_until_ms=1)]) == [None]
        [conflict] = await store.commit([write(f"{partition}:a", 1)])
        assert conflict is not None
    assert await store.due_partitions(1) == [0, 255]
    assert await store.due(0, 1, 10) == [Due(1, "00:b")]
    assert await store.due(0, 1, 10, after=Due(1, "00:a")) == [Due(1, "00:b")]
    assert len(await store.events({0: 1, 255: 0}, 100)) == 3 + 4
    assert await store.heads() == {0: 4, 255: 4}
    assert await store.collect(1, 100) == 2 + 8
    assert await store.get(["00:a", "ff:a"]) == [None, None]
    assert await store.server_time_ms() > 0
    assert await store.epoch(0)


async def test_it_may_teach_a_server_that_has_forgotten_its_scripts(store: RedisStore, servers: RedisOfTests) -> None:
    for server in servers.servers:
        server.say("SCRIPT", "FLUSH")
    assert await store.commit([write("00:a", 0)]) == [None]


def test_it_may_wait_for_replicas_and_follow_a_slot_that_moves(servers: RedisOfTests) -> None:
    with closing(servers.servers[0].client(**LOGIN)) as client:
        assert client.execute_command("WAIT", 0, 1) == 0  # type: ignore[no-untyped-call]
        if "cluster" in servers.url:
            assert client.execute_command("ASKING")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "command",
    [
        *("GET other", "SET {p other", "MGET {p:00}a other", "FLUSHALL", "KEYS *", "CONFIG SET appendonly no", "EVAL 1 0"),
        *("ACL LIST", "SHUTDOWN", "SCRIPT FLUSH", "CLUSTER RESET", "PUBLISH a b", "REPLICAOF NO ONE"),
    ],
)
def test_it_may_do_nothing_else(servers: RedisOfTests, command: str) -> None:
    with closing(servers.servers[0].client(**LOGIN)) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]


async def test_a_script_of_its_own_reaches_no_key_of_others(servers: RedisOfTests) -> None:
    [digest] = {server.say("SCRIPT", "LOAD", "return redis.call('GET', 'other')") for server in servers.servers}
    with closing(servers.servers[0].client(**LOGIN)) as client, pytest.raises(redis.ResponseError):
        client.execute_command("EVALSHA", digest, 0)  # type: ignore[no-untyped-call]


async def test_without_info_it_is_refused_with_what_to_allow(servers: RedisOfTests) -> None:
    for server in servers.servers:
        server.say("ACL", "SETUSER", "playclock", "-info")
    try:
        with pytest.raises(StoreUnavailable, match=r"so no failover would be noticed: allow our user \+info"):
            await open_redis(servers.url)
    finally:
        allow(servers.servers)
