"""When the engine cannot, or will not: 5xx and 429 are in the agents' own envelope, and say when to come back."""

import hashlib

import pytest
from playclock.stores.base import Store

from tests.conftest import FaultInjectingStore
from tests.playwave.conftest import ServerMaker
from tests.playwave.server import Server

from .callers import DEMO, LINK, LIST, AgentServer, content_of, error_of
from .estate import ESTATE


@pytest.fixture(params=["memory"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the one kind of store that is needed: the faults lie above it."""
    return str(request.param)


async def test_while_the_store_is_away_links_are_503_and_the_list_goes_on(make_server: ServerMaker) -> None:
    stores: list[FaultInjectingStore] = []

    def faulty(store: Store) -> FaultInjectingStore:
        stores.append(FaultInjectingStore(store))
        return stores[-1]

    server = await make_server(wrap_store=faulty)
    await server.provision(ESTATE)
    agent = AgentServer(server)
    order = agent.order()
    stores[0].is_away = True
    response = await agent.send(LINK, order)
    assert error_of(response) == (503, "service_unavailable")
    assert response.json()["message"] == "Service Unavailable"
    assert int(response.headers["retry-after"]) > 0
    assert content_of(await agent.send(LIST))["total"] == 2
    stores[0].is_away = False
    assert content_of(await agent.send(LINK, order))["url"]


async def test_who_guesses_signatures_hears_429_after_a_while_and_the_agent_goes_on(server: Server) -> None:
    agent, thief = AgentServer(server), AgentServer(server, token="a guess")
    content_of(await agent.send(LIST))
    heard = [error_of(await thief.send(DEMO)) for _ in range(61)]
    assert heard[:60] == [(403, "invalid_signature")] * 60
    assert heard[60] == (429, "rate_limited")
    response = await thief.send(DEMO, signed=hashlib.sha256(b"").hexdigest())
    assert error_of(response) == (429, "rate_limited")
    assert 0 < int(response.headers["retry-after"]) <= 60
    assert response.headers["ratelimit-policy"].endswith(";q=60;w=60")
    content_of(await agent.send(LIST))
