"""The connection to Redis, on either event loop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from playclock.stores.base import ABSENT, Commit, Put
from playclock.stores.urls import open_store

from tests.redis_fixtures import RedisOfTests


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_speaks_on_either_loop(redis_of_tests: RedisOfTests, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    redis_of_tests.empty()

    async def write_and_read() -> bytes | None:
        store = await open_store(redis_of_tests.url)
        await store.commit([Commit(partition=0xAB, puts=[Put(key="ab1", expect=ABSENT, data=b"data")])])
        [record] = await store.get(["ab1"])
        await store.close()
        return None if record is None else record.data

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(write_and_read()) == b"data"
