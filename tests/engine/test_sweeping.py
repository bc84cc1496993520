"""The sweeper hastens what time has decided already: whoever swept or did not, everybody hears and pays the same."""

import asyncio
import random
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import msgspec
import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Refused, Result
from playclock.core.ids import partition_of, session_key
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import NEVER_MS, EndReason, Session, State
from playclock.core.timers import Timers
from playclock.errors import EngineError
from playclock.stores.base import Store
from playclock.stores.memory import MemoryStore
from playclock.v1 import ProvisionedCafe, Provisioning

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker


async def events_in(store: Store) -> list[SessionEvent]:
    heads = await store.heads()
    told = [decode(event.data) for event in await store.events(dict.fromkeys(heads, 0), 100_000)]
    return [event for event in told if isinstance(event, SessionEvent)]


async def due_at(store: Store, key: str) -> int | None:
    """Return where a record is filed in the due index."""
    entries = await store.due(int(key[:2], 16), NEVER_MS, 1_000)
    return next((entry.due_ms for entry in entries if entry.key == key), None)


class TestBookkeeping:
    async def test_what_has_run_out_is_written_told_and_unfiled(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(ms=239_999)
        assert await world.engine.sweep() == 0
        clock.advance(ms=1)
        assert await world.engine.sweep() == 2  # the launch runs out in the same moment
        ended = await world.stored(session)
        assert (ended.state, ended.end_reason) == (State.ENDED, EndReason.HEARTBEAT_TIMEOUT)
        assert [event.happening for event in await events_in(world.engine.store)] == [Happening.OPENED, Happening.ENDED]
        assert await due_at(world.engine.store, session_key(session)) is None
        assert await world.engine.sweep() == 0

    async def test_a_heartbeat_leaves_the_index_alone_and_the_sweeper_files_anew(
        self, world: "World", clock: ManualClock
    ) -> None:
        launch = await world.start(at=world.FREE)
        session = await world.join(launch)
        opened_ms = clock.now_ms()
        for _ in range(2):
            clock.advance(100)
            await world.engine.launches.heartbeat(world.OPERATOR, launch)
            await world.beat(session)
        assert await due_at(world.engine.store, session_key(session)) == opened_ms + 240_000
        clock.advance(40)
        assert await world.engine.sweep() == 2
        assert await due_at(world.engine.store, session_key(session)) == opened_ms + 440_000
        assert (await world.stored(session)).state is State.ACTIVE
        assert await world.engine.sweep() == 0
        assert (await world.beat(session)).result is Result.OK

    async def test_exhaustion_is_noticed_and_the_end_of_grace_is_filed(self, world: "World", clock: ManualClock) -> None:
        session = await session_without_credit(world, clock)
        await world.engine.sweep()
        exhausted = await world.stored(session)
        assert exhausted.state is State.EXHAUSTED
        assert await due_at(world.engine.store, session_key(session)) == exhausted.started_ms + 360_000

    async def test_one_tick_deals_with_so_many_and_the_next_ones_with_the_rest(
        self, world: "World", clock: ManualClock
    ) -> None:
        for number in range(25):
            await world.open(f"pc-{number}", at=world.FREE)
        clock.advance(240)
        swept = [await world.engine.sweeper.sweep(limit=20) for _ in range(4)]
        assert swept == [20, 20, 10, 0]

    async def test_the_next_tick_begins_where_the_last_one_stopped(self, world: "World", clock: ManualClock) -> None:
        # In order of their partitions, so that the busy one is looked at first.
        busy, *quiet = sorted((f"cafe-{number}" for number in range(10, 16)), key=lambda name: partition_of("cafe", name))
        addresses = {name: f"203.0.{number}.1" for number, name in enumerate((busy, *quiet))}
        cafes = [
            ProvisionedCafe(id=name, name=name, networks=[address.removesuffix("1") + "0/24"])
            for name, address in addresses.items()
        ]
        await world.provision(Provisioning(cafes=cafes))
        for number in range(30):
            await world.start(f"pc-{number}", at=addresses[busy])
        for name in quiet:
            await world.start(at=addresses[name])
        clock.advance(240)
        for _ in range(2):
            assert await world.engine.sweeper.sweep(limit=10) == 10
        assert await world.engine.store.due_partitions(clock.now_ms()) == [partition_of("cafe", busy)]

    async def test_a_default_tick_is_bounded(self, world: "World", clock: ManualClock) -> None:
        await asyncio.gather(*(world.start(f"pc-{number}", at=world.FREE) for number in range(2_001)))
        clock.advance(240)
        assert [await world.engine.sweep() for _ in range(3)] == [2_000, 1, 0]

    async def test_what_nobody_asks_for_any_more_is_collected(self, world: "World", clock: ManualClock) -> None:
        store = world.engine.store
        session = await world.open(server="server-1")
        await world.end(session, counted_sec=1)
        clock.advance(240)
        await world.engine.sweep()
        assert await store.get([session_key(session)]) != [None]
        clock.advance(86_400)
        await world.engine.sweep()
        assert await store.get([session_key(session)]) == [None]
        assert await events_in(store) == []
        if isinstance(store, MemoryStore):
            kinds = {key.split(":")[1] for shelf in store._shelves for key in shelf._slots}
            estate = {"directory", "tariff", "plan", "cafe", "launcher", "credential"}
            catalog = {"game", "gamebucket", "catalog"}
            assert kinds == {*estate, *catalog, "account"}


class TestManySweepers:
    async def test_two_sweepers_at_once_end_each_session_once(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        sessions = [await world.open(f"pc-{number}", at=at) for number in range(60) for at in (world.PAYING, world.FREE)]
        clock.advance(240)
        await asyncio.gather(*(there.engine.sweep() for there in (world, elsewhere) for _ in range(2)))
        ends = [event.session.id for event in await events_in(world.engine.store) if event.happening is Happening.ENDED]
        assert sorted(ends) == sorted(sessions)
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS, 0)


async def session_without_credit(world: "World", clock: ManualClock) -> str:
    """Return a session whose account paid for 240 seconds, which are over."""
    await world.provision_poor(4_000_000)
    launch = await world.start(at=world.POOR)
    session = await world.join(launch)
    for _ in range(3):
        clock.advance(80)
        await world.engine.launches.heartbeat(world.OPERATOR, launch)
        await world.beat(session)
    return session


Step = tuple[str, int]


def script_of(chance: random.Random) -> list[Step]:
    """Return what happens on two PCs that share one short account: moments near every deadline, and calls of all kinds."""
    waits = [1, 999, 1_000, 30_000, 60_000, 119_999, 120_000, 120_001, 239_999, 240_000, 240_001]
    calls = ["beat", "beat", "beat", "launcher", "launcher", "join", "start", "end", "leave", "get"]
    steps: list[Step] = [("start", 0), ("join", 0), ("start", 1), ("join", 1)]
    for _ in range(40):
        if chance.random() < 0.45:
            steps.append(("wait", chance.choice(waits)))
        else:
            steps.append((chance.choice(calls), chance.randrange(2)))
    return [*steps, ("wait", 600_000)]


class Life:
    """A world in which a script is played. Ids are counted instead of shown, so that two lives can be compared."""

    def __init__(self, world: "World", clock: ManualClock, *, swept: bool) -> None:
        self.world = world
        self.clock = clock
        self.swept = swept
        self.launches = ["", ""]
        self.sessions = ["", ""]
        self.names: dict[str, str] = {}

    async def play(self, script: list[Step]) -> list[object]:
        """Play, and return every answer, the records of all sessions, their events and the account."""
        told: list[object] = [await self._step(name, number) for name, number in script]
        records = [await self.world.get(session, caller=self.world.OPERATOR) for session in self._ids("gs_")]
        if not self.swept:
            # Whoever asks in the end brings an unswept world up to date.
            for launch in self._ids("ls_"):
                await self._answer(self.world.engine.launches.heartbeat(self.world.OPERATOR, launch))
            for session in self._ids("gs_"):
                await self._answer(self.world.beat(session, caller=self.world.OPERATOR))
        told += [self._nameless(record) for record in records]
        told += [self._nameless(await self.world.stored(session)) for session in self._ids("gs_")]
        events = await events_in(self.world.engine.store)
        told.append(sorted((self.names[e.session.id], e.happening, e.at_ms) for e in events))
        told.append(await self.world.account())
        return told

    async def _step(self, name: str, number: int) -> object:
        world, pc = self.world, number
        if name == "wait":
            await self._wait(number)
            return None
        if self.swept:
            await world.engine.sweep()
        match name:
            case "start":
                self.launches[pc] = await world.start(f"pc-{pc}")
                return self._name(self.launches[pc])
            case "join":
                return await self._answer(self._join(pc))
            case "beat":
                return await self._answer(world.beat(self.sessions[pc]))
            case "end":
                return await self._answer(world.end(self.sessions[pc], counted_sec=number))
            case "launcher":
                return await self._answer(world.engine.launches.heartbeat(world.OPERATOR, self.launches[pc]))
            case "leave":
                return await self._answer(world.engine.launches.end(world.OPERATOR, self.launches[pc]))
            case _:
                assert name == "get"
                return await self._answer(world.get(self.sessions[pc]))

    async def _wait(self, ms: int) -> None:
        if self.swept:
            for _ in range(3):
                self.clock.advance(ms=ms // 4)
                await self.world.engine.sweep()
            ms -= ms // 4 * 3
        self.clock.advance(ms=ms)

    async def _join(self, pc: int) -> object:
        answer = await self.world.redeem(await self.world.ott(self.launches[pc]))
        if isinstance(answer, Refused):
            return answer
        self.sessions[pc] = answer.session_id
        return self._name(answer.session_id), answer.next_heartbeat_sec

    async def _answer(self, call: Awaitable[object]) -> object:
        try:
            answer = await call
        except EngineError as error:
            return error.reason, error.metadata
        if isinstance(answer, str):
            return self._name(answer)
        return self._nameless(answer) if isinstance(answer, Session) else answer

    def _name(self, id_: str) -> str:
        return self.names.setdefault(id_, f"{id_[:3]}{len(self.names)}")

    def _nameless(self, session: Session) -> dict[str, object]:
        # Where a session is filed is the sweeper's own business, and all that it may change.
        shown = msgspec.structs.asdict(session)
        shown |= {"id": self._name(session.id), "launch_id": self._name(session.launch_id), "due_ms": None}
        return shown

    def _ids(self, prefix: str) -> list[str]:
        return [id_ for id_ in self.names if id_.startswith(prefix)]


class TestSweptOrNot:
    @pytest.fixture
    async def lives(self, make_world: "WorldMaker") -> list[Life]:
        lives = []
        for swept in (True, False):
            clock = ManualClock()
            world: World = await make_world(MemoryStore(), clock=clock, timers=Timers(session_max_ms=1_200_000))
            await world.provision(world.estate(opening_micros=24_000_000))
            lives.append(Life(world, clock, swept=swept))
        return lives

    @pytest.mark.parametrize("seed", range(100))
    async def test_all_answers_records_events_and_bills_are_the_same(self, lives: list[Life], seed: int) -> None:
        script = script_of(random.Random(seed))
        swept, unswept = [await life.play(script) for life in lives]
        for number, (one, other) in enumerate(zip(swept, unswept, strict=True)):
            assert one == other, (number, script[: number + 1])


async def test_two_sweepers_at_once_end_each_session_once(
    world: "World", elsewhere: "World", store_kind: str, clock: ManualClock, store: Store
) -> None:
    count = 500 if store_kind in ("sqlite", "cluster") else 2_000
    launches = [world.start(f"pc-{number}", at=world.FREE) for number in range(count)]
    sessions = await asyncio.gather(*(world.join(launch_id) for launch_id in await asyncio.gather(*launches)))
    clock.advance(241)
    while sum(await asyncio.gather(world.engine.sweep(), elsewhere.engine.sweep())):
        pass
    ended = [event.session.id for event in await events_in(store) if event.happening is Happening.ENDED]
    assert sorted(ended) == sorted(sessions)
