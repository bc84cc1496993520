"""A server with the agents' estate for every kind of store; the fixtures are PlayWave's."""

from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.playwave.conftest import ServerMaker, front, kind, make_server, store_url
from tests.playwave.server import Server

from .callers import AgentServer
from .estate import ESTATE

__all__ = ["agent", "front", "kind", "make_server", "server", "store_url"]

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
def agent(server: Server) -> AgentServer:
    """Return an agent's server, which calls from no cafe."""
    return AgentServer(server)
