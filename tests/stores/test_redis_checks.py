"""What a Redis must be before a store is opened on it, and what its configuration promises."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playclock.stores.base import StoreError, StoreUnavailable
from playclock.stores.redis_checks import FORMAT, FORMAT_KEY, Durability, loss_on_restart, why_not
from playclock.stores.redis_urls import durability_of
from playclock.stores.urls import open_store

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import RedisServer, durable, running
from tests.stores.tls_front import TLS, tls_front


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server whose settings tests may change."""
    with running([RedisServer(tmp_path_factory.mktemp("checks") / "data", *durable())]) as (server,):
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[RedisServer]:
    """Return the server, empty and as it was started."""
    server.say("FLUSHALL")
    yield server
    for name, value in (("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "no")):
        server.say("CONFIG", "SET", name, value)
    server.say("CONFIG", "SET", "no-appendfsync-on-rewrite", "no")


async def fails(url: str) -> str:
    """Return why a store cannot be opened."""
    with pytest.raises(StoreError) as caught:
        await open_store(url)
    return str(caught.value)


async def logged(url: str, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Open a store, and return the fields of what was logged, by message."""
    with caplog.at_level(logging.INFO, logger="playclock.stores"):
        await (await open_store(url)).close()
    return {record.getMessage(): getattr(record, "fields", {}) for record in caplog.records}


class TestSettings:
    @pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
    async def test_one_that_may_evict_is_refused_limit_or_not(self, redis: RedisServer, policy: str) -> None:
        redis.say("CONFIG", "SET", "maxmemory-policy", policy)
        assert f"set maxmemory-policy to noeviction (it is {policy})" in await fails(redis.url)

    async def test_one_that_keeps_nothing_over_a_restart_is_refused_unless_loss_is_accepted(
        self, redis: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        redis.say("CONFIG", "SET", "appendonly", "no")
        for asked in ("", "?durability=local", "?durability=replicas:1"):
            assert "set appendonly to yes, or accept the loss with durability=none" in await fails(redis.url + asked)
        told = await logged(redis.url + "?durability=none", caplog)
        assert told["what Redis may lose, as it is configured"]["on_restart"] == "everything"

    @pytest.mark.parametrize(
        ("sync", "on_rewrite", "loss"),
        [
            ("always", "no", "nothing that was answered"),
            ("everysec", "no", "about the last second"),
            ("everysec", "yes", "what the kernel has not written, half a minute as a rule"),
            ("no", "no", "what the kernel has not written, half a minute as a rule"),
        ],
    )
    async def test_the_log_states_what_may_be_lost(
        self, redis: RedisServer, caplog: pytest.LogCaptureFixture, sync: str, on_rewrite: str, loss: str
    ) -> None:
        redis.say("CONFIG", "SET", "appendfsync", sync)
        redis.say("CONFIG", "SET", "no-appendfsync-on-rewrite", on_rewrite)
        told = await logged(redis.url, caplog)
        expected = {"servers": "1", "on_restart": loss, "on_failover": "what no replica has"}
        assert told == {"what Redis may lose, as it is configured": expected}

    async def test_every_master_of_a_cluster_is_looked_at(
        self, cluster_of_tests: RedisOfTests, caplog: pytest.LogCaptureFixture
    ) -> None:
        *_, last = cluster_of_tests.servers
        last.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        try:
            assert f"127.0.0.1:{last.port} may evict records" in await fails(cluster_of_tests.url)
        finally:
            last.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
        last.say("CONFIG", "SET", "appendfsync", "always")
        try:
            told = await logged(cluster_of_tests.url, caplog)
        finally:
            last.say("CONFIG", "SET", "appendfsync", "no")
        # The worst of them counts.
        assert told["what Redis may lose, as it is configured"]["on_restart"].startswith("what the kernel")
        assert told["what Redis may lose, as it is configured"]["servers"] == "3"

    async def test_a_replica_is_no_place_to_write_to(self, redis: RedisServer, tmp_path: Path) -> None:
        replica = RedisServer(tmp_path / "replica", *durable("--replicaof", "127.0.0.1", str(redis.port)))
        with running([replica]):
            assert "is a replica; name its master" in await fails(replica.url)

    @pytest.mark.parametrize(
        ("version", "is_refused"),
        [("6.0.16", True), ("5.0.14", True), ("6.2.0", False), ("6.2.14", False), ("7.0.15", False), ("10.0.0", False)],
    )
    def test_one_that_is_too_old_is_refused(self, version: str, is_refused: bool) -> None:
        problem = why_not({"version": version}, Durability())
        assert (problem is not None) is is_refused
        assert problem is None or f"is version {version}, and playclock needs 6.2 or newer: upgrade it" in problem

    def test_what_is_not_told_is_not_promised(self) -> None:
        assert why_not({}, Durability()) is None
        assert loss_on_restart({}).startswith("unknown")


class TestWhatIsNotTold:
    """Managed services forbid some commands."""

    async def test_the_log_says_what_was_not_looked_at(self, redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        redis.say("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all", "-config")
        told = await logged(f"redis://app:secret@127.0.0.1:{redis.port}", caplog)
        unchecked = told["Redis does not tell all that was to be checked"]["unchecked"]
        assert unchecked == "appendfsync, no-appendfsync-on-rewrite"
        loss = told["what Redis may lose, as it is configured"]["on_restart"]
        assert loss == "unknown, for it does not tell appendfsync"

    async def test_what_info_tells_is_enough(self, redis: RedisServer) -> None:
        redis.say("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all", "-config")
        url = f"redis://app:secret@127.0.0.1:{redis.port}"
        redis.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert "may evict records" in await fails(url)
        redis.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.say("CONFIG", "SET", "appendonly", "no")
        assert "keeps no append-only file" in await fails(url)

    async def test_one_that_does_not_say_who_it_is_is_refused_for_failovers_would_go_unnoticed(
        self, redis: RedisServer, cluster_of_tests: RedisOfTests
    ) -> None:
        for server, scheme in ((redis, "redis"), *((server, "redis+cluster") for server in cluster_of_tests.servers)):
            server.say("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all", "-info")
            refusal = await fails(f"{scheme}://app:secret@127.0.0.1:{server.port}")
            assert f"127.0.0.1:{server.port} does not say who it is" in refusal
            assert refusal.endswith("so no failover would be noticed: allow our user +info")


class TestFormat:
    async def test_an_empty_database_is_marked_and_opened_again(self, redis: RedisServer) -> None:
        for _ in range(2):
            await (await open_store(redis.url)).close()
            assert redis.say("GET", FORMAT_KEY) == str(FORMAT).encode()

    async def test_a_newer_format_is_refused(self, redis: RedisServer) -> None:
        redis.say("SET", FORMAT_KEY, FORMAT + 1)
        refusal = await fails(redis.url)
        assert f"newer version of playclock (record format {FORMAT + 1}, this version knows {FORMAT})" in refusal
        assert "upgrade playclock, or name another database" in refusal
        assert redis.say("GET", FORMAT_KEY) == str(FORMAT + 1).encode()

    @pytest.mark.parametrize("found", ["one", "", "9" * 5_000])
    async def test_what_is_no_format_is_another_programs(self, redis: RedisServer, found: str) -> None:
        redis.say("SET", FORMAT_KEY, found)
        assert "something of another program" in await fails(redis.url)

    async def test_a_format_that_may_not_be_written_is_no_format(self, redis: RedisServer) -> None:
        redis.say("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all", "-set")
        assert "NOPERM" in await fails(f"redis://app:secret@127.0.0.1:{redis.port}")


class TestLogin:
    async def test_a_wrong_password_is_told_and_not_repeated(self, redis: RedisServer) -> None:
        redis.say("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all")
        refusal = await fails(f"redis://app:hunter2@127.0.0.1:{redis.port}")
        assert "WRONGPASS" in refusal
        assert "hunter2" not in refusal

    async def test_a_password_that_is_missing_is_told(self, tmp_path: Path) -> None:
        locked = RedisServer(tmp_path / "locked", *durable())
        with running([locked]):
            locked.say("CONFIG", "SET", "requirepass", "secret")
            assert "NOAUTH" in await fails(locked.url)
            await (await open_store(f"redis://:secret@127.0.0.1:{locked.port}/3")).close()

    async def test_a_user_that_may_not_name_its_connection_may_do_without(self, redis: RedisServer) -> None:
        redis.say("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all", "-client")
        await (await open_store(f"redis://app:secret@127.0.0.1:{redis.port}")).close()


class TestTls:
    async def test_an_authority_of_ones_own_is_named_in_the_address(self, redis: RedisServer) -> None:
        async with tls_front(redis) as port:
            store = await open_store(f"rediss://localhost:{port}/0?ca={TLS / 'ca.pem'}")
            await store.ping()
            await store.close()

    async def test_a_certificate_of_an_unknown_authority_or_another_host_is_not_believed(self, redis: RedisServer) -> None:
        async with tls_front(redis) as port:
            with pytest.raises(StoreUnavailable, match="certificate"):
                await open_store(f"rediss://127.0.0.1:{port}/0")
        async with tls_front(redis, "127.0.0.2") as port:
            with pytest.raises(StoreUnavailable, match="certificate"):
                await open_store(f"rediss://127.0.0.2:{port}/0?ca={TLS / 'ca.pem'}")

    async def test_a_server_without_tls_is_not_spoken_to(self, redis: RedisServer) -> None:
        with pytest.raises(StoreUnavailable):
            await open_store(f"rediss://127.0.0.1:{redis.port}/0?ca={TLS / 'ca.pem'}")

    @pytest.mark.parametrize(
        ("address", "reason"),
        [
            ("redis://localhost?tls=yes", "tls in the Redis address is true or false"),
            ("rediss://localhost?tls=false", "rediss:// is always TLS"),
            ("redis://localhost?ca=ca.pem", "names a ca without TLS"),
            ("rediss://localhost?ca=/no/such/file", "in /no/such/file cannot be read"),
            (f"rediss://localhost?ca={Path(__file__)}", "cannot be read"),
            ("redis://localhost?tls=true&tls=false", "names an option twice"),
            ("redis+sentinel://localhost/main?sentinel_tls=yes", "sentinel_tls in the Redis address is true or false"),
            ("redis+sentinel://localhost/main?sentinel_tls=true&ca=/no/such/file", "in /no/such/file cannot be read"),
            ("redis+sentinel://localhost/main?ca=ca.pem", "names a ca without TLS"),
            ("redis+sentinel://localhost/main?sentinel_username=me", "sentinel_username without a sentinel_password"),
            ("redis+cluster://localhost?sentinel_password=secret", "is for redis+sentinel:// only"),
            ("redis://localhost?sentinel_tls=true", "is for redis+sentinel:// only"),
        ],
    )
    async def test_options_that_make_no_sense_are_refused(self, address: str, reason: str) -> None:
        assert reason in await fails(address)


@pytest.mark.parametrize(
    ("asked", "durability"),
    [
        ("", Durability()),
        ("?durability=local", Durability()),
        ("?durability=none", Durability(is_loss_accepted=True)),
        ("?durability=replicas:1", Durability(replicas=1)),
        ("?durability=replicas:16", Durability(replicas=16)),
    ],
)
def test_what_may_be_asked_for(asked: str, durability: Durability) -> None:
    assert durability_of(f"redis://localhost/0{asked}") == durability


@pytest.mark.parametrize(
    "asked",
    [
        *("", "always", "LOCAL", "local:1", "none:", "replicas"),
        *("replicas:", "replicas:0", "replicas:17", "replicas:-1", "replicas:２"),  # noqa: RUF001
    ],
)
async def test_another_durability_is_refused_with_those_that_are_possible(asked: str) -> None:
    refusal = await fails(f"redis://localhost/0?durability={asked}")
    assert "possible are durability=local, durability=replicas:N with N from 1 to 16, and durability=none" in refusal
