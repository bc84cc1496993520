"""A server with the developers' estate for every kind of store; the fixtures are PlayWave's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.playwave.conftest import KINDS, ServerMaker, front, kind, make_server, store_url
from tests.playwave.server import Server

from .callers import DEVELOPER, RIVAL, RIVAL_SECRET, SECRET, Developer
from .estate import ESTATE
from .studio import Studio, serving

__all__ = ["developer", "front", "kind", "make_server", "rival", "server", "store_url"]

_HERE: Final = f"{Path(__file__).parent}/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's tests in the loop of the server."""
    for item in items:
        if str(item.path).startswith(_HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def server(make_server: ServerMaker) -> Server:
    made = await make_server()
    await made.provision(ESTATE)
    return made


@pytest.fixture
def developer(server: Server) -> Developer:
    """Return the developer to whom the games of these tests belong."""
    return Developer(server, DEVELOPER, SECRET)


@pytest.fixture
def rival(server: Server) -> Developer:
    """Return another developer."""
    return Developer(server, RIVAL, RIVAL_SECRET)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=KINDS)
async def studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    """Serve pictures too, on every kind of store, once for a module."""
    async with serving(str(request.param), request, tmp_path_factory) as studio:
        yield studio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def memory_studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    """Serve the same in memory alone, for what no store has a part in."""
    async with serving("memory", request, tmp_path_factory) as studio:
        yield studio
