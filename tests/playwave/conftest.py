"""A PlayWave server for every kind of store. All tests of this folder share one event loop, in which one uvicorn listens."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.redis_fixtures import RedisOfTests

from .callers import GameServer, LauncherPc
from .server import Front, Server, listening

KINDS: Final = ["memory", "sqlite", "replicas"]
"""Kinds of store, and one more: two replicas over one Redis, which take the requests in turn."""

ServerMaker = Callable[..., Awaitable[Server]]
"""Makes servers; keyword arguments are those of `Server`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's tests in the loop of the server."""
    here = f"{Path(__file__).parent}/"
    for item in items:
        if str(item.path).startswith(here) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty store of the kind."""
    match kind:
        case "memory":
            return "memory://"
        case "replicas":
            redis: RedisOfTests = request.getfixturevalue("redis_of_tests")
            return redis.url_of(tmp_path)
        case "sqlite":
            return f"sqlite:///{tmp_path / 'playclock.db'}"
        case _:
            raise LookupError(kind)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front() -> AsyncIterator[tuple[Front, str]]:
    front = Front()
    async with listening(front) as url:
        yield front, url


@pytest_asyncio.fixture(loop_scope="session")
async def make_server(front: tuple[Front, str], kind: str, store_url: str) -> AsyncIterator[ServerMaker]:
    """Make a server with the estate in it. It replaces the one that the test made before."""
    async with AsyncExitStack() as stack:

        async def make(**options: object) -> Server:
            replicas = 2 if kind == "replicas" else 1
            server = Server(*front, store_url, replicas=replicas, **options)  # type: ignore[arg-type]
            stack.push_async_callback(server.close)
            await server.start()
            await server.provision()
            return server

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def server(make_server: ServerMaker) -> Server:
    return await make_server()


@pytest.fixture
def game(server: Server) -> GameServer:
    """Return the game's server."""
    return server.game()


@pytest.fixture
def pc(server: Server) -> LauncherPc:
    """Return a launcher on a PC of the cafe."""
    return server.pc()
