"""Sentinels that ask for a password or speak TLS, which need not be that of the master."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playclock.cli.options import without_password
from playclock.stores.base import Commit, Put, StoreUnavailable
from playclock.stores.redis_sentinels import SentinelLogin
from playclock.stores.urls import open_store

from tests.redis_servers import RedisServer, sentinels
from tests.stores.tls_front import TLS, tls_front

SECRET = "hunter2&?@#"
ENCODED = "hunter2%26%3F%40%23"


@pytest.fixture
def watchers(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """Run Sentinels that know a user who may ask for the master, and nobody who has not said who he is."""
    with sentinels(tmp_path, replicas=0, count=2) as (_, watchers):
        for watcher in watchers:
            watcher.say("ACL", "SETUSER", "asker", "reset", "on", f">{SECRET}", "+sentinel|master")
            watcher.say("ACL", "SETUSER", "default", "resetpass", ">another")
        yield list(watchers)


def address(ports: list[int], *options: str) -> str:
    return f"redis+sentinel://{','.join(f'localhost:{port}' for port in ports)}/main?{'&'.join(options)}"


async def write_to(url: str) -> None:
    store = await open_store(url)
    assert await store.commit([Commit(partition=0, puts=(Put(key="00:a", expect=0, data=b""),))]) == [None]
    await store.close()


async def test_they_are_asked_as_the_user_of_the_address(watchers: list[RedisServer]) -> None:
    ports = [watcher.port for watcher in watchers]
    await write_to(address(ports, "sentinel_username=asker", f"sentinel_password={ENCODED}"))
    for wrong in ([], ["sentinel_password=hunter3"], ["sentinel_username=asker", "sentinel_password=hunter3"]):
        with pytest.raises(StoreUnavailable, match=r"no Sentinel names a master: .*(Auth|auth|password)") as caught:
            await open_store(address(ports, *wrong))
        assert "hunter3" not in str(caught.value)


async def test_they_are_asked_by_tls_and_the_master_is_not(watchers: list[RedisServer]) -> None:
    login = ("sentinel_username=asker", f"sentinel_password={ENCODED}")
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(tls_front(watcher)) for watcher in watchers]
        await write_to(address(ports, *login, "sentinel_tls=true", f"ca={TLS / 'ca.pem'}"))
        for wrong in (["sentinel_tls=true"], []):
            with pytest.raises(StoreUnavailable, match="no Sentinel names a master"):
                await open_store(address(ports, *login, *wrong))
        elsewhere = await stack.enter_async_context(tls_front(watchers[0], "127.0.0.2"))
        url = address([elsewhere], *login, "sentinel_tls=true", f"ca={TLS / 'ca.pem'}").replace("localhost", "127.0.0.2")
        with pytest.raises(StoreUnavailable, match="certificate"):
            await open_store(url)


def test_their_password_is_in_no_log() -> None:
    assert "hunter2" not in without_password(address([1], f"sentinel_password={ENCODED}"))
    assert "hunter2" not in repr(SentinelLogin(password=SECRET))
