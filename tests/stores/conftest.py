"""Every kind of store there is, and short ways to speak to one."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playclock.stores.base import Store
from playclock.stores.urls import open_store

from tests.redis_fixtures import RedisOfTests

KINDS = ["memory", "sqlite", "redis", "valkey", "cluster"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_url(kind: str, request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Return what makes the address of an empty store of this kind out of an empty folder."""
    match kind:
        case "memory":
            return lambda _: "memory://"
        case "sqlite":
            return lambda folder: f"sqlite:///{folder / 'store.db'}"
        case "redis" | "valkey" | "cluster":
            redis: RedisOfTests = request.getfixturevalue(f"{kind}_of_tests")
            return redis.url_of
        case _:
            raise LookupError(kind)


@pytest.fixture
async def store(make_url: Callable[[Path], str], tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(make_url(tmp_path))
    yield store
    await store.close()


@pytest.fixture
async def another_handle(make_url: Callable[[Path], str], tmp_path: Path, store: Store) -> AsyncIterator[Store]:
    handle = await open_store(make_url(tmp_path))
    assert handle is not store
    yield handle
    await handle.close()
