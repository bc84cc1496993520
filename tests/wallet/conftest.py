"""The reference agent as a process that a test can spoil and kill, and a world in which that keeps a player's money."""

import asyncio
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playclock.callbacks import Poster
from playclock.clock import ManualClock
from playclock.core.answers import Opened
from playclock.core.player import Player
from playclock.core.wallet import Bet, WalletRules, is_waiting
from playclock.engine import OPERATOR, Caller
from playclock.engine.bets import Wanted
from playclock.stores.base import Store
from playclock.v1 import Agent as AgentMessage
from playclock.v1 import ProvisionedGame, Provisioning

from tests.conftest import World

if TYPE_CHECKING:
    from tests.conftest import WorldMaker

PROCESS: Final = Path(__file__).parent / "agent_process.py"
TOKEN: Final = "the-api-token-of-the-agent"
MICROS: Final = 1_000_000
RULES: Final = WalletRules(timeout_ms=20_000)
"""Time enough for a busy machine: an agent that is to be too slow is asked by `HASTY`."""
HASTY: Final = WalletRules(timeout_ms=400)
URL_SECRET: Final = "the-secret-in-the-query"
HOME: Final = ("127.0.0.1/32",)


class AgentProcess:
    """An agent's server in a process of its own. Its books lie in a file, so that it can be killed and started again."""

    def __init__(self, books: Path) -> None:
        self._books = books
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._process = self._started()

    def restart(self) -> None:
        self.kill()
        self._process = self._started()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def command(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _started(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", str(PROCESS), "--listen", self.address, "--agent", "1"),
                # Requests are signed at the tests' own time, which is not that of the agent.
                *("--token", TOKEN, "--books", str(self._books), "--window", str(10**10)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line().startswith("ready ")
        return self._process

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        return line


class Agent:
    """An agent, and a player of its own for each test."""

    OPENING: Final = 1_000_500_000
    """What its player has, in micro-units."""
    _numbers: Final = itertools.count()

    def __init__(self, process: AgentProcess) -> None:
        self.process = process
        self.player = f"player-{next(self._numbers)}"
        self.url = f"http://{process.address}/callbacks?key={URL_SECRET}"
        process.command(player=self.player, fault={})

    def fault(self, **faults: str) -> None:
        """Spoil requests of these types from now on, and no others."""
        self.process.command(fault=faults)

    def release(self) -> None:
        """Let go on what is held."""
        self.process.command(release=True)

    def balance(self) -> int:
        return int(self._show()["balance"])

    def transactions(self) -> dict[str, dict[str, Any]]:
        """Return the agent's transactions that count or counted, by their ids."""
        return {each["id"]: each for each in self._show()["transactions"]}

    def asked(self, kind: str = "") -> list[dict[str, Any]]:
        """Return what the agent was asked of the player, of one type or of all."""
        return [each for each in self._show()["asked"] if kind in ("", each["type"])]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - it is another process that makes it true
                await asyncio.sleep(0.005)

    def _show(self) -> dict[str, Any]:
        return self.process.command(show=self.player)


class Table:
    """A session of the agent's player, and what its game asks of the wallet, a line each."""

    def __init__(self, world: World, session_id: str) -> None:
        self.world = world
        self.session_id = session_id
        self.wallet = world.engine.wallet

    async def bet(
        self, transaction_id: str, bet: int = 0, win: int = 0, *, round_id: str = "r1", caller: Caller = World.GAME
    ) -> Bet:
        """Make a bet, in micro-units."""
        wanted = Wanted(
            session_id=self.session_id, transaction_id=transaction_id, round_id=round_id, bet_micros=bet, win_micros=win
        )
        return await self.wallet.make(caller, wanted)

    async def roll_back(self, transaction_id: str, *, caller: Caller = World.GAME) -> Bet:
        return await self.wallet.roll_back(caller, self.session_id, transaction_id)

    async def get(self, transaction_id: str, *, caller: Caller = World.GAME) -> Bet:
        return await self.wallet.get(caller, self.session_id, transaction_id)

    async def settle(self, transaction_id: str, *, rounds: int = 12) -> Bet:
        """Let time go by until a bet waits for nobody any more."""
        clock = self.world.engine.clock
        assert isinstance(clock, ManualClock)
        for _ in range(rounds):
            await self.world.engine.sweep()
            bet = await self.get(transaction_id, caller=World.OPERATOR)
            if not is_waiting(bet):
                return bet
            clock.advance(ms=max(0, bet.due_ms - clock.now_ms()))
        raise AssertionError(f"still {bet.state.name} after {rounds} rounds: {bet.agent_error}")

    def at(self, world: World) -> "Table":
        """Return the same session as another process sees it."""
        return Table(world, self.session_id)


PosterMaker = Callable[..., Poster]
TableMaker = Callable[..., Awaitable[Table]]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    process = AgentProcess(tmp_path_factory.mktemp("agent") / "agent.db")
    yield process
    process.kill()


@pytest.fixture
def agent(process: AgentProcess) -> Iterator[Agent]:
    agent = Agent(process)
    yield agent
    agent.release()  # nobody waits on


@pytest.fixture
def make_poster() -> Iterator[PosterMaker]:
    """Make what takes callbacks to agents."""
    posters: list[Poster] = []

    def make(rules: WalletRules = RULES, *, networks: tuple[str, ...] = HOME) -> Poster:
        posters.append(Poster(networks, timeout_ms=rules.timeout_ms))
        return posters[-1]

    yield make
    for poster in posters:
        poster.close()


async def seat(world: World, url: str, player_id: str) -> Table:
    """Let the world know the agent, and return a session of its player."""
    game = ProvisionedGame(
        id=World.GAME_ID, number=123, name="Champagne Party", api_keys=[World.KEY], play_url="https://game.example.com/play"
    )
    agent = AgentMessage(id=1, name="Agent One", api_token=TOKEN, games=[123], callback_url=url)
    await world.provision(Provisioning(games=[game], agents=[agent]))
    player = Player(
        player_id=player_id,
        username="john_doe",
        language="ru",
        currency="EUR",
        home_url="https://example.com",
        ip="192.0.2.7",
    )
    links = world.engine.links
    link = await links.create(OPERATOR, 1, game_number=123, player=player, agent_session_id=f"of {player_id}")
    (ott,) = parse_qs(urlsplit(link.url).query)["token"]
    opened = await world.redeem(ott, user=player_id)
    assert isinstance(opened, Opened), opened
    return Table(world, opened.session_id)


@pytest.fixture
def make_table(agent: Agent, store: Store, make_world: "WorldMaker", make_poster: PosterMaker) -> TableMaker:
    """Make a world of the rules given, and a session in it whose player's money the agent keeps."""

    async def make(rules: WalletRules = RULES, *, url: str = "", store: Store = store, **poster: Any) -> Table:  # noqa: ANN401
        world = await make_world(store, wallet=rules, post=make_poster(rules, **poster))
        await world.provision()
        return await seat(world, url or agent.url, agent.player)

    return make


@pytest.fixture
async def table(make_table: TableMaker) -> Table:
    return await make_table()
