"""An agent with 10,000 games: the list is answered from memory, in gzip, and not at all to whom it has not changed for."""

import gzip
import json
from collections.abc import Sequence
from typing import Final

import pytest
from playclock.stores.base import Commit, Conflict, Record, Store
from playclock.v1.provisioning_service_pb2 import Agent, ProvisionedGame, Provisioning

from tests.conftest import FaultInjectingStore
from tests.playwave.conftest import ServerMaker

from .callers import LIST, AgentServer, content_of, signature
from .estate import TOKEN

GAMES: Final = 10_000
NUMBERS: Final = range(1_001, 1_001 + GAMES)
MANY: Final = Provisioning(
    games=[
        ProvisionedGame(
            id=f"{number % 256:02x}000000-0000-4000-8000-{number:012d}",
            number=number,
            name=f"Игра № {number}",
            brand=f"Brand {number % 40}",
            image_url=f"https://cdn.example.com/images/games/{number}.jpg",
            play_url="https://game.example.com/play",
        )
        for number in NUMBERS
    ],
    agents=[Agent(id=1, name="Agent One", api_token=TOKEN, games=NUMBERS)],
)


class CountingStore(FaultInjectingStore):
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.calls = 0

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self.calls += 1
        return await super().get(keys)

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.calls += 1
        return await super().commit(commits)


@pytest.fixture(params=["memory"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the one kind of store that is needed: none is asked."""
    return str(request.param)


async def test_the_list_is_made_once_and_the_store_is_not_asked(make_server: ServerMaker) -> None:
    stores: list[CountingStore] = []

    def counted(store: Store) -> CountingStore:
        stores.append(CountingStore(store))
        return stores[-1]

    server = await make_server(wrap_store=counted)
    await server.provision(MANY)
    agent = AgentServer(server)
    (store,) = stores
    before = store.calls
    store.is_away = True  # which proves it once more

    plain = await agent.send(LIST, Accept_Encoding="identity")
    content = content_of(plain)
    assert content["total"] == len(content["games"]) == GAMES
    assert content["games"][-1] == {
        "id": 11_000,
        "title": "Игра № 11000",
        "brand": "Brand 0",
        "image_url": "https://cdn.example.com/images/games/11000.jpg",
        "demo": False,
    }

    raw = await _raw(agent)
    assert len(raw) < len(plain.content) / 5
    assert json.loads(gzip.decompress(raw))["content"] == content
    assert content_of(await agent.send(LIST)) == content

    known = await agent.send(LIST, If_None_Match=plain.headers["etag"])
    assert (known.status_code, known.content) == (304, b"")
    assert store.calls == before


async def _raw(agent: AgentServer) -> bytes:
    """Return the list in gzip as it is sent."""
    body = json.dumps(agent.order(LIST)).encode()
    headers = {"Accept-Encoding": "gzip", "Content-Type": "application/json", "X-Signature": signature(body)}
    async with agent.server.client().stream("POST", LIST, content=body, headers=headers) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        return b"".join([piece async for piece in answer.aiter_raw()])
