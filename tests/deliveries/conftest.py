"""A game's server as a process that a test can spoil and kill, and matches whose start it has to be told of."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest
from playclock.clock import ManualClock
from playclock.core.delivery import Delivery, DeliveryRules, Method, filed_ms
from playclock.core.ids import delivery_id_of, delivery_key
from playclock.core.match import Match
from playclock.deliveries import Courier
from playclock.engine import OPERATOR
from playclock.engine.records import DELIVERIES
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Store
from playclock.v1 import GetJwksRequest, MatchClient, OpenIdServiceStub, Provisioning

from tests.conftest import World
from tests.matches.conftest import PUSHED, Arena

if TYPE_CHECKING:
    from tests.conftest import EngineMaker

PROCESS: Final = Path(__file__).parent / "game_server.py"
SECRET: Final = "the-secret-of-the-told-client"
HOME: Final = ("127.0.0.1/32",)
RULES: Final = DeliveryRules()
HASTY: Final = DeliveryRules(timeout_ms=300)
"""For servers that are to be too slow."""
PATIENCE_SEC: Final = 60


class GameServer:
    """A game's server in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/match-info?of=the-secret-in-the-query"
        self._process = self._started()

    def restart(self) -> None:
        self.kill()
        self._process = self._started()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def trust(self, keys: object, *secrets: str) -> None:
        """Let it verify by these keys, or those at a URL, and these secrets."""
        self._command(trust=[keys, *secrets])

    def answer(self, *answers: str, delete: tuple[str, ...] = ("200",), other: tuple[str, ...] = ()) -> None:
        """Say what is answered to PUTs from now on, the last one for ever, to DELETEs, and to PUTs of the other client."""
        self._command(answers={"PUT": answers or ("200",), "DELETE": delete, "GET": ["200"], "PUT /other": other})

    def release(self) -> None:
        """Let go on what is held."""
        self._command(release=True)

    def seen(self, match: Match) -> list[dict[str, Any]]:
        """Return what has come about a match."""
        return self.seen_of(match.id)

    def seen_of(self, match_id: str) -> list[dict[str, Any]]:
        """Return what has come about the match of an id."""
        seen: list[dict[str, Any]] = self._command(show=match_id)["seen"]
        assert [each["forged"] for each in seen if each["forged"]] == []
        return seen

    def methods(self, match: Match) -> list[str]:
        return [each["method"] for each in self.seen(match)]

    def crowd(self) -> tuple[int, int]:
        """Return how many requests are under way, and the most that were since the answers were set."""
        shown = self._command(show="-")
        return shown["under_way"], shown["most"]

    async def until_crowd(self, number: int) -> None:
        """Wait until so many requests are under way."""
        await until(lambda: self.crowd()[0] >= number)

    async def until_seen(self, match: Match, method: str) -> None:
        """Wait until there was a request about a match."""
        await until(lambda: method in self.methods(match))

    def everything(self) -> list[dict[str, Any]]:
        """Return all that has come since the process was started."""
        seen: list[dict[str, Any]] = self._command(show="")["seen"]
        return seen

    def forgeries(self) -> list[str]:
        """Return what was wrong with requests so far."""
        return [each["forged"] for each in self.everything() if each["forged"]]

    def _command(self, **command: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _started(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", str(PROCESS), str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"
        return self._process

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        return line


class Told(Arena):
    """Matches whose game's server is told of them."""

    async def begin(self, players: int = 2, **terms: Any) -> Match:  # noqa: ANN401
        """Start a match, and return it as it waits."""
        return await self.live(players, client_id=PUSHED.id, **terms)

    async def told(self, players: int = 2, **terms: Any) -> Match:  # noqa: ANN401
        """Start a match, and return it as it is when its game's server was asked once."""
        return await self.settled(await self.begin(players, **terms))

    async def settled(self, match: Match) -> Match:
        """Return a match when all that goes on about it has come to its end."""
        await self.matches.pushing.finish()
        await self.matches.settling.finish()
        return await self.matches.get(OPERATOR, match.id)

    async def sweep(self, match: Match) -> Match:
        """Do what is due, and return the match."""
        await self.engine.sweep()
        return await self.settled(match)

    async def delivery(self, match: Match, method: Method = Method.PUT) -> Delivery | None:
        """Return a message as it lies in the store."""
        (record,) = await self.engine.store.get([delivery_key(delivery_id_of(match.id, method.name))])
        return None if record is None else DELIVERIES.decode(record.data)

    async def follow(self, match: Match, hours: float) -> Match:
        """Let time go by, from one thing that is due to the next, and do it."""
        clock = self.engine.clock
        assert isinstance(clock, ManualClock)
        until_ms = clock.now_ms() + round(hours * 3_600_000)
        while True:
            match = await self.sweep(match)
            found = [await self.delivery(match, method) for method in Method]
            times = [filed_ms(each) for each in found if each is not None and each.ended_ms is None]
            next_ms = min([until_ms, *(max(time, clock.now_ms() + 1) for time in times)])
            if clock.now_ms() >= until_ms:
                return match
            clock.advance(ms=next_ms - clock.now_ms())


Found = TypeVar("Found")
ToldMaker = Callable[..., Awaitable[Told]]
CourierMaker = Callable[..., Courier]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def game_server_process() -> Iterator[GameServer]:
    process = GameServer()
    yield process
    process.kill()


@pytest.fixture
def game_server(game_server_process: GameServer) -> Iterator[GameServer]:
    game_server_process.answer()
    yield game_server_process
    game_server_process.release()  # nobody waits on


@pytest.fixture
def make_courier() -> Iterator[CourierMaker]:
    couriers: list[Courier] = []

    def make(rules: DeliveryRules = RULES, *, networks: tuple[str, ...] = HOME, **more: Any) -> Courier:  # noqa: ANN401
        couriers.append(Courier(networks, timeout_ms=rules.timeout_ms, **more))
        return couriers[-1]

    yield make
    for courier in couriers:
        courier.close()


@pytest.fixture
def make_told(store: Store, make_engine: "EngineMaker", make_courier: CourierMaker, game_server: GameServer) -> ToldMaker:
    """Make an engine that tells the game's server, which trusts it."""

    async def make(
        rules: DeliveryRules = RULES,
        *,
        store: Store = store,
        url: str = game_server.url,
        courier: Courier | None = None,
        provisions: bool = True,
        **client: Any,  # noqa: ANN401
    ) -> Told:
        told = Told(await make_engine(store, send=courier or make_courier(rules), deliveries=rules))
        if provisions:
            await told.provision()
            wanted = MatchClient(client_id=PUSHED.id, client_secret=SECRET, game=World.GAME_ID, match_info_url=url, **client)
            await World(told.engine).provision(Provisioning(match_clients=[wanted]))
        await trust(game_server, told)
        return told

    return make


async def trust(game_server: GameServer, told: Told, *secrets: str) -> None:
    """Let the game's server have the realm's keys, as the realm shows them."""
    channel = InProcessChannel(told.engine, operator=True)
    shown = await OpenIdServiceStub(channel).GetJwks(GetJwksRequest())
    keys = [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": key.kid, "n": key.n, "e": key.e} for key in shown.keys]
    game_server.trust({"keys": keys}, *(secrets or (SECRET,)))


@pytest.fixture
async def told(make_told: ToldMaker) -> Told:
    return await make_told()


def eventually(look: Callable[[], Found | None]) -> Found:
    """Return what there is to be found, as soon as it is there."""
    deadline_sec = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < deadline_sec:
        found = look()
        if found:
            return found
    raise AssertionError("it never came")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SEC):
        while not condition():  # noqa: ASYNC110 - it is another process that makes it true
            await asyncio.sleep(0.01)
