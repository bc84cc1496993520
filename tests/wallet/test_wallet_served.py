"""The wallet of a served engine: by its files alone, and killed in the middle of a bet."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import grpc.aio
import pytest
from playclock.v1 import (
    CreateGameLinkRequest,
    GameLinkServiceStub,
    MakeBetRequest,
    OpenSessionRequest,
    PlayerContext,
    SessionServiceStub,
    WalletServiceStub,
)

from tests.cli.conftest import Process
from tests.conftest import World
from tests.wallet.conftest import MICROS, TOKEN, Agent

OPERATOR: Final = (("authorization", f"Bearer {World.OPERATOR_TOKEN}"),)
SETTINGS: Final = f"""
[security]
operator_tokens = ["{World.OPERATOR_TOKEN}"]
outgoing_networks = ["127.0.0.1/32"]
[wallet]
timeout = 2
rollback_pause = 0.1
"""


@pytest.fixture
def store_kind() -> str:
    """Return the one kind whose file outlives its process."""
    return "sqlite"


class Served:
    """A server that can be killed and started again on its store."""

    def __init__(self, folder: Path, agent: Agent) -> None:
        self._folder = folder
        (folder / "settings.toml").write_text(SETTINGS)
        (folder / "estate.toml").write_text(
            f'[[game]]\nid = "{World.GAME_ID}"\nnumber = 123\nname = "Champagne Party"\nplay_url = "https://game.example.com/play"\n'
            f'[[agent]]\nid = 1\nname = "One"\napi_token = "{TOKEN}"\ngames = [123]\ncallback_url = "{agent.url}"\n'
        )
        self.start()

    def start(self) -> None:
        self.process = Process(
            self._folder,
            *("serve", "--store", f"sqlite:///{self._folder / 'store.db'}", "--archive", "none"),
            *("--config", "settings.toml", "--provision", "estate.toml", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"),
        )
        self.address = self.process.ready()["grpc"]

    def kill(self) -> None:
        self.process.process.kill()
        self.process.end()


@pytest.fixture
def served(tmp_path: Path, agent: Agent) -> Iterator[Served]:
    served = Served(tmp_path, agent)
    yield served
    served.process.close()


async def test_a_bet_whose_engine_was_killed_is_taken_back_by_the_next(served: Served, agent: Agent) -> None:
    player = PlayerContext(
        player_id=agent.player,
        player_username="john_doe",
        language="en",
        currency="EUR",
        home_url="https://example.com",
        ip="192.0.2.7",
    )
    async with grpc.aio.insecure_channel(served.address) as channel:
        link = await GameLinkServiceStub(channel).CreateGameLink(
            CreateGameLinkRequest(agent_id=1, game_number=123, player=player, agent_session_id="s1"), metadata=OPERATOR
        )
        (ott,) = parse_qs(urlsplit(link.url).query)["token"]
        opened = await SessionServiceStub(channel).OpenSession(
            OpenSessionRequest(ott=ott, provider_user_id=agent.player), metadata=OPERATOR
        )
        agent.fault(makeBet="held")
        request = MakeBetRequest(
            game_session_id=opened.game_session_id, transaction_id="t1", round_id="r1", bet_micros=5 * MICROS
        )
        wallet = WalletServiceStub(channel)
        making = asyncio.ensure_future(wallet.MakeBet(request, metadata=OPERATOR))
        await agent.until(lambda: agent.asked("makeBet"))
        served.kill()
        with pytest.raises(grpc.aio.AioRpcError):
            await making
    agent.release()
    await agent.until(lambda: agent.balance() == agent.OPENING - 5 * MICROS)
    served.start()

    await agent.until(lambda: agent.balance() == agent.OPENING)
    assert len(agent.asked("makeBet")) == 1
