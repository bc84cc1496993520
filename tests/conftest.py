"""What tests of behaviour share: a clock that they move, every kind of store, an engine, and a small world to play in."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from playclock.clock import Clock, ManualClock
from playclock.core.answers import Beat, Opened, Refused
from playclock.core.charge import Account
from playclock.core.delivery import DeliveryRules
from playclock.core.ids import account_key, session_key
from playclock.core.limits import LimitRules
from playclock.core.session import Session
from playclock.core.timers import Timers
from playclock.core.wallet import WalletRules
from playclock.engine import OPERATOR, Caller, Engine, Role
from playclock.engine.authority import Connect
from playclock.engine.callbacks import Post
from playclock.engine.history import FilledArchive
from playclock.engine.matches.sending import Send
from playclock.engine.ownership import ReadKeys
from playclock.engine.records import ACCOUNTS, SESSIONS
from playclock.engine.sealing import Sealer
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Commit, Conflict, Due, Record, Store, StoredEvent, StoreUnavailable
from playclock.stores.urls import open_store
from playclock.v1 import (
    ApplyProvisioningRequest,
    Launcher,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    ProvisioningServiceStub,
    Tariff,
)

if TYPE_CHECKING:
    from tests.redis_fixtures import RedisOfTests

pytest_plugins = ["tests.garbage", "tests.leaks", "tests.redis_fixtures"]

KINDS = ["memory", "sqlite", "redis", "cluster"]

EngineMaker = Callable[..., Awaitable[Engine]]
StoreOpener = Callable[[], Awaitable[Store]]
WorldMaker = Callable[..., Awaitable["World"]]
Restart = Callable[..., Awaitable["World"]]


class World:
    """Two games, a cafe that pays and one that does not, a launcher: and what players do there, a line each.

    Everything is done on the engine itself, so a refusal is one of `playclock.errors`.
    """

    GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
    OTHER_GAME_ID: Final = "7d2f9b10-1111-4222-8333-944445555666"
    KEY: Final = "the-key-of-the-game"
    OTHER_KEY: Final = "the-key-of-the-other-game"
    LAUNCHER_ID: Final = "launcher-1"
    SECRET: Final = "the-secret-of-the-launcher"
    OPERATOR_TOKEN: Final = "operator-token"
    OPERATOR_CERTIFICATE: Final = "alice.operators.internal"

    GAME: Final = Caller(Role.GAME, GAME_ID)
    OTHER_GAME: Final = Caller(Role.GAME, OTHER_GAME_ID)
    OPERATOR: Final = OPERATOR

    PAYING: Final = "127.0.0.1"
    """An address in the cafe that pays a million micros for each minute that has begun."""
    FREE: Final = "10.0.0.1"
    """An address in the cafe that pays nothing."""
    NOWHERE: Final = "192.0.2.1"
    """An address in no cafe."""
    POOR: Final = "198.51.100.1"
    """An address in the cafe that `provision_poor` makes."""
    ACCOUNT: Final = "cafe-1"
    POOR_ACCOUNT: Final = "poor"
    OPENING_MICROS: Final = 500_000_000
    PLAYER: Final = "player-1"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def estate(cls, *, opening_micros: int = OPENING_MICROS) -> Provisioning:
        """Return what the operator has described."""
        return Provisioning(
            games=[
                ProvisionedGame(id=cls.GAME_ID, number=123, name="Champagne Party", api_keys=[cls.KEY]),
                ProvisionedGame(id=cls.OTHER_GAME_ID, number=124, name="Daily Grind", api_keys=[cls.OTHER_KEY]),
            ],
            tariffs=[Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=1_000_000)],
            accounts=[ProvisionedAccount(id=cls.ACCOUNT, currency="GCOIN", opening_balance_micros=opening_micros)],
            cafes=[
                ProvisionedCafe(
                    id="cafe-1", name="Seoul One", networks=["127.0.0.0/8"], account=cls.ACCOUNT, tariff="standard"
                ),
                ProvisionedCafe(id="cafe-2", name="Busan Two", networks=["10.0.0.0/8"]),
            ],
            launchers=[Launcher(id=cls.LAUNCHER_ID, secret=cls.SECRET)],
        )

    async def provision(self, provisioning: Provisioning | None = None) -> None:
        """Apply an estate; the world's own where none is given."""
        request = ApplyProvisioningRequest(provisioning=provisioning or self.estate())
        await ProvisioningServiceStub(InProcessChannel(self.engine, operator=True)).ApplyProvisioning(request)

    async def provision_poor(self, opening_micros: int) -> None:
        """Apply one more cafe, whose account begins with so much."""
        await self.provision(
            Provisioning(
                accounts=[ProvisionedAccount(id=self.POOR_ACCOUNT, currency="GCOIN", opening_balance_micros=opening_micros)],
                cafes=[
                    ProvisionedCafe(
                        id="cafe-3", name="Poor", networks=["198.51.100.0/24"], account=self.POOR_ACCOUNT, tariff="standard"
                    )
                ],
            )
        )

    async def start(self, pc: str = "pc-1", *, at: str = PAYING, caller: Caller = OPERATOR) -> str:
        """Start a launch on a PC and return its id."""
        started = await self.engine.launches.start(caller, pc_id=pc, internal_ip="", external_ip=at, hardware=b"")
        return started.launch.id

    async def ott(
        self,
        launch_id: str | None = None,
        *,
        pc: str = "pc-1",
        at: str = PAYING,
        game_id: str = GAME_ID,
        user: str | None = None,
    ) -> str:
        """Issue an OTT for a launch; for a new one on the PC where none is given."""
        launch_id = launch_id or await self.start(pc, at=at)
        return await self.engine.launches.issue_ott(OPERATOR, launch_id, game_id=game_id, provider_user_id=user)

    async def redeem(
        self, ott: str, *, caller: Caller = GAME, user: str = PLAYER, request_id: str = "", server: str = ""
    ) -> Opened | Refused:
        """Redeem an OTT, or hear why not."""
        return await self.engine.sessions.open(caller, ott=ott, provider_user_id=user, request_id=request_id, server_id=server)

    async def join(self, launch_id: str, *, game_id: str = GAME_ID, user: str = PLAYER, server: str = "") -> str:
        """Redeem an OTT of a launch, as an operator, and return the session's id."""
        ott = await self.ott(launch_id, game_id=game_id)
        answer = await self.redeem(ott, caller=OPERATOR, user=user, server=server)
        assert isinstance(answer, Opened), answer
        return answer.session_id

    async def open(
        self, pc: str = "pc-1", *, at: str = PAYING, game_id: str = GAME_ID, user: str = PLAYER, server: str = ""
    ) -> str:
        """Start a launch on a PC, redeem an OTT of it and return the session's id."""
        return await self.join(await self.start(pc, at=at), game_id=game_id, user=user, server=server)

    async def beat(self, session_id: str, *, caller: Caller = GAME, user: str = PLAYER) -> Beat:
        """Send a heartbeat."""
        return await self.engine.heartbeats.beat(caller, session_id, user)

    async def end(self, session_id: str, *, caller: Caller = GAME, counted_sec: int | None = None) -> Session:
        """End a session."""
        return await self.engine.sessions.end(caller, session_id, client_play_duration_sec=counted_sec)

    async def get(self, session_id: str, *, caller: Caller = GAME) -> Session:
        """Return a session as time has it now."""
        return await self.engine.sessions.get(caller, session_id)

    async def stored(self, session_id: str) -> Session:
        """Return a session as it lies in the store."""
        (record,) = await self.engine.store.get([session_key(session_id)])
        assert record is not None
        return SESSIONS.decode(record.data)

    async def account(self, account_id: str = ACCOUNT) -> Account:
        """Return an account as it lies in the store."""
        (record,) = await self.engine.store.get([account_key(account_id)])
        assert record is not None
        return ACCOUNTS.decode(record.data)


class FaultInjectingStore:
    """A store that behaves, until a test says otherwise."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.turns: Callable[[], int] = int
        """How many turns of the event loop others get before and after each call. With none, a store in memory lets nobody
        in between, and no race is ever run."""
        self.conflict_in: set[int] = set()
        """Partitions in which somebody else is always faster."""
        self.is_away = False
        """Whether the store cannot be reached."""
        self.stalls_before: asyncio.Event | None = None
        """Holds commits up before they take effect, until it is set."""
        self.stalls_after: asyncio.Event | None = None
        """Holds commits up after they took effect, until it is set."""
        self.stalled = asyncio.Event()
        """Is set as soon as a commit is held up."""
        self.abandoned = asyncio.Event()
        """Is set as soon as whoever waits for such a commit is cancelled."""

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        await self._let_others()
        found = await self.store.get(keys)
        await self._let_others()
        return found

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        await self._let_others()
        await self._stall(self.stalls_before)
        if any(commit.partition in self.conflict_in for commit in commits):
            return [await self._conflict(commit) for commit in commits]
        conflicts = await self.store.commit(commits)
        await self._stall(self.stalls_after)
        await self._let_others()
        return conflicts

    async def epoch(self, partition: int) -> str:
        await self._let_others()
        return await self.store.epoch(partition)

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        await self._let_others()
        return await self.store.due(partition, before_ms, limit, after=after)

    async def due_partitions(self, before_ms: int) -> list[int]:
        await self._let_others()
        return await self.store.due_partitions(before_ms)

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        await self._let_others()
        return await self.store.events(after, limit)

    async def heads(self) -> dict[int, int]:
        await self._let_others()
        return await self.store.heads()

    async def collect(self, before_ms: int, limit: int, *, keep_after: Mapping[int, int] | None = None) -> int:
        await self._let_others()
        return await self.store.collect(before_ms, limit, keep_after=keep_after)

    async def ping(self) -> None:
        await self._let_others()
        await self.store.ping()

    async def close(self) -> None:
        await self.store.close()

    async def _let_others(self) -> None:
        for _ in range(self.turns()):
            await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("a fault that a test has injected")

    async def _stall(self, until: asyncio.Event | None) -> None:
        if until is not None:
            self.stalled.set()
            try:
                await until.wait()
            except asyncio.CancelledError:
                self.abandoned.set()
                raise

    async def _conflict(self, commit: Commit) -> Conflict | None:
        if commit.partition not in self.conflict_in:
            return (await self.store.commit([commit]))[0]
        keys = [put.key for put in commit.puts]
        return Conflict(dict(zip(keys, await self.store.get(keys), strict=True)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=KINDS)
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty store."""
    if store_kind in ("redis", "cluster"):
        redis: RedisOfTests = request.getfixturevalue(f"{store_kind}_of_tests")
        return redis.url_of(tmp_path)
    return {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path / 'playclock.db'}"}[store_kind]


@pytest.fixture
async def open_again(store_kind: str, store_url: str) -> AsyncIterator[StoreOpener]:
    """Open the test's store: each time as another process would.

    What is in memory belongs to one object, so all share that; caches are the engine's own and stay apart all the same.
    """
    async with AsyncExitStack() as stack:
        shared: list[Store] = []

        async def open_() -> Store:
            if store_kind == "memory" and shared:
                return shared[0]
            shared.append(await open_store(store_url))
            stack.push_async_callback(shared[-1].close)
            return shared[-1]

        yield open_


@pytest.fixture
async def store(open_again: StoreOpener) -> Store:
    return await open_again()


@pytest.fixture
async def make_engine(clock: ManualClock) -> AsyncIterator[EngineMaker]:
    """Make engines that stop with the test. Under a ManualClock nothing happens in the background."""
    async with AsyncExitStack() as stack:

        async def make(
            store: Store,
            *,
            clock: Clock = clock,
            timers: Timers | None = None,
            background: bool | None = None,
            archive: FilledArchive | None = None,
            connect: Connect | None = None,
            limits: LimitRules | None = None,
            sealer: Sealer | None = None,
            wallet: WalletRules | None = None,
            post: Post | None = None,
            read_keys: ReadKeys | None = None,
            send: Send | None = None,
            deliveries: DeliveryRules | None = None,
        ) -> Engine:
            engine = Engine(
                store,
                clock=clock,
                timers=timers,
                operator_tokens=[World.OPERATOR_TOKEN],
                operator_certificates=[World.OPERATOR_CERTIFICATE],
                background=background,
                archive=archive,
                connect=connect,
                limits=limits,
                sealer=sealer,
                wallet=wallet,
                post=post,
                read_keys=read_keys,
                send=send,
                deliveries=deliveries,
            )
            return await stack.enter_async_context(engine)

        yield make


@pytest.fixture
def make_world(make_engine: EngineMaker) -> WorldMaker:
    """Make worlds: each on an engine of its own, with what is in the store."""

    async def make(store: Store, **settings: Any) -> World:  # noqa: ANN401 - what `make_engine` takes
        return World(await make_engine(store, **settings))

    return make


@pytest.fixture
async def engine(make_engine: EngineMaker, store: Store) -> Engine:
    return await make_engine(store)


@pytest.fixture
def operator(engine: Engine) -> InProcessChannel:
    """Return a channel whose calls are an operator's."""
    return InProcessChannel(engine, operator=True)


@pytest.fixture
async def world(engine: Engine) -> World:
    world = World(engine)
    await world.provision()
    return world


@pytest.fixture
async def elsewhere(world: World, make_world: WorldMaker, open_again: StoreOpener) -> World:  # noqa: ARG001 - is there first
    """Return the world as another process sees it: another engine, on another handle of the store."""
    return await make_world(await open_again())


@pytest.fixture
def restart(world: World, store_kind: str, open_again: StoreOpener, make_world: WorldMaker) -> Restart:
    """Stop the world's engine, and return the world on a new one, with nothing left but what the store has kept."""
    running = [world]

    async def again(**settings: Any) -> World:  # noqa: ANN401 - what `make_engine` takes
        stopped = running.pop().engine
        await stopped.__aexit__(None, None, None)
        if store_kind != "memory":
            await stopped.store.close()
        running.append(await make_world(await open_again(), **settings))
        return running[0]

    return again


@pytest.fixture
def faulty_store(store: Store) -> FaultInjectingStore:
    return FaultInjectingStore(store)


@pytest.fixture
def busy_store(faulty_store: FaultInjectingStore) -> FaultInjectingStore:
    """Return a store behind which calls overtake each other, in an order that depends on a seed alone."""
    chance = random.Random(20_260_101)
    faulty_store.turns = lambda: chance.randrange(4)
    return faulty_store
