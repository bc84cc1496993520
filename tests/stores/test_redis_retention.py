"""What is over goes away by itself: after many sessions Redis holds what it held before the first."""

from contextlib import closing

import pytest
from playclock.stores.urls import open_store

from simulation.churn import churn
from tests.redis_fixtures import RedisOfTests

SESSIONS = 400
OUTBOX_HEADS = 256
"""One number for each partition that ever told something stays, so that no sequence is used twice."""


@pytest.mark.parametrize("kind", ["redis", "cluster"])
async def test_sessions_that_are_over_leave_no_key(kind: str, request: pytest.FixtureRequest) -> None:
    redis: RedisOfTests = request.getfixturevalue(f"{kind}_of_tests")
    redis.empty()
    store = await open_store(redis.url)
    await churn(store, SESSIONS)
    once = keys(redis)
    await churn(store, SESSIONS)
    assert keys(redis) == once
    assert not [key for key in once if b"session" in key or b"launch" in key or b"ott" in key or b"}keep" in key]
    assert len(once) < OUTBOX_HEADS + 200, "the estate, the accounts, and a number for each partition"
    await store.close()


def keys(redis: RedisOfTests) -> set[bytes]:
    found: set[bytes] = set()
    for server in redis.servers:
        with closing(server.client()) as client:
            found.update(client.scan_iter(count=10_000))
    return found
