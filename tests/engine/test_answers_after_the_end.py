"""What a heartbeat and an end hear of a session that is over, ending, somebody else's or forgotten."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from playclock.clock import ManualClock
from playclock.core.answers import Result
from playclock.core.codec import encode
from playclock.core.ids import partition_in, session_key
from playclock.core.session import NEVER_MS, EndReason, State
from playclock.engine import Caller, Role
from playclock.errors import AlreadyEnded, BadRequest, EngineError, SessionEnded, SessionEnding, SessionNotFound
from playclock.stores.base import Commit, Put

if TYPE_CHECKING:
    from tests.conftest import World

DAY_MS = 86_400_000
UNKNOWN = "gs_ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"

Finish = Callable[["World", ManualClock], Awaitable[str]]


async def client_end(world: "World", clock: ManualClock) -> str:  # noqa: ARG001
    session = await world.open()
    await world.end(session)
    return session


async def launch_end(world: "World", clock: ManualClock) -> str:  # noqa: ARG001
    launch = await world.start()
    session = await world.join(launch)
    await world.engine.launches.end(world.OPERATOR, launch)
    return session


async def launcher_silence(world: "World", clock: ManualClock) -> str:
    session = await world.open()
    clock.advance(120)
    await world.beat(session)
    clock.advance(120)
    return session


async def exhaustion(world: "World", clock: ManualClock) -> str:
    await world.provision_poor(4_000_000)
    launch = await world.start(at=world.POOR)
    session = await world.join(launch)
    for _ in range(3):
        clock.advance(119)
        await world.engine.launches.heartbeat(world.OPERATOR, launch)
        await world.beat(session)
    clock.advance(3)
    return session


async def termination(world: "World", clock: ManualClock) -> str:  # noqa: ARG001
    session = await world.open()
    await world.engine.sessions.terminate(world.OPERATOR, session)
    return session


async def server_restart(world: "World", clock: ManualClock) -> str:  # noqa: ARG001
    session = await world.open(server="server-1")
    await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")
    return session


async def replacement(world: "World", clock: ManualClock) -> str:  # noqa: ARG001
    launch = await world.start()
    session = await world.join(launch)
    await world.join(launch)
    return session


async def silence(world: "World", clock: ManualClock) -> str:
    launch = await world.start()
    session = await world.join(launch)
    clock.advance(120)
    await world.engine.launches.heartbeat(world.OPERATOR, launch)
    clock.advance(120)
    return session


ENDS: list[tuple[Finish, EndReason, type[EngineError] | None, type[EngineError]]] = [
    (client_end, EndReason.CLIENT_END, SessionEnded, AlreadyEnded),
    (launch_end, EndReason.CLIENT_END, SessionEnded, AlreadyEnded),
    (launcher_silence, EndReason.LAUNCHER_TIMEOUT, SessionEnded, AlreadyEnded),
    (exhaustion, EndReason.CHARGE_EXHAUSTED, SessionEnded, AlreadyEnded),
    (termination, EndReason.TERMINATED, SessionEnded, AlreadyEnded),
    (server_restart, EndReason.SERVER_RESTART, SessionEnded, AlreadyEnded),
    (replacement, EndReason.REPLACED, None, AlreadyEnded),
    (silence, EndReason.HEARTBEAT_TIMEOUT, SessionNotFound, SessionNotFound),
]
"""How a session can end, and what a heartbeat (None: a value instead of an error) and an end hear from then on."""


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize("row", ENDS, ids=[row[0].__name__ for row in ENDS])
class TestTable:
    async def test_what_a_heartbeat_hears(
        self,
        world: "World",
        clock: ManualClock,
        row: tuple[Finish, EndReason, type[EngineError] | None, object],
        *,
        swept: bool,
    ) -> None:
        finish, reason, heard, _ = row
        session = await finish(world, clock)
        if swept:
            await world.engine.sweep()
        for _ in range(2):
            if heard is None:
                assert (await world.beat(session)).result is Result.SESSION_REPLACED
                continue
            with pytest.raises(heard) as refusal:
                await world.beat(session)
            assert refusal.value.metadata == ({} if heard is SessionNotFound else {"end_reason": reason.name})
        assert (await world.get(session)).end_reason is reason

    async def test_what_an_end_hears(
        self,
        world: "World",
        clock: ManualClock,
        row: tuple[Finish, EndReason, object, type[EngineError]],
        *,
        swept: bool,
    ) -> None:
        finish, reason, _, heard = row
        session = await finish(world, clock)
        if swept:
            await world.engine.sweep()
        figures = []
        for counted_sec in (None, 7):
            with pytest.raises(heard) as refusal:
                await world.end(session, counted_sec=counted_sec)
            figures.append(refusal.value.metadata)
        assert figures[0] == figures[1]
        assert figures[0].get("end_reason", reason.name) == reason.name
        assert (await world.stored(session)).client_play_duration_sec is None


class TestFigures:
    async def test_who_ends_a_session_again_hears_the_figures_that_count(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(ms=61_999)
        ended = await world.end(session, counted_sec=60)
        assert (ended.state, ended.end_reason, ended.client_play_duration_sec) == (State.ENDED, EndReason.CLIENT_END, 60)
        clock.advance(3_600)
        with pytest.raises(AlreadyEnded) as refusal:
            await world.end(session, counted_sec=99)
        assert refusal.value.metadata == {
            "end_reason": "CLIENT_END",
            "play_duration_sec": "61",
            "client_play_duration_sec": "60",
            "billed_sec": "61",
            "grace_sec": "0",
            "amount_micros": "2000000",
        }

    async def test_an_operators_end_is_final_too(self, world: "World") -> None:
        session = await world.open()
        await world.engine.sessions.terminate(world.OPERATOR, session)
        with pytest.raises(AlreadyEnded):
            await world.engine.sessions.terminate(world.OPERATOR, session)


class TestEnding:
    @pytest.fixture
    async def session(self, world: "World", elsewhere: "World") -> str:
        """Write a session that waits for an outside charge authority, as no built-in authority lets one."""
        store = elsewhere.engine.store
        session = await world.open()
        key = session_key(session)
        (record,) = await store.get([key])
        assert record is not None
        ending = replace(await world.stored(session), state=State.ENDING, deadline_ms=NEVER_MS)
        put = Put(key=key, expect=record.version, data=encode(ending))
        assert await store.commit([Commit(partition=partition_in(session), puts=[put])]) == [None]
        return session

    async def test_a_heartbeat_hears_that_it_is_ending(self, world: "World", session: str) -> None:
        with pytest.raises(SessionEnding):
            await world.beat(session)

    async def test_an_end_has_come_already(self, world: "World", session: str) -> None:
        with pytest.raises(AlreadyEnded):
            await world.end(session)

    async def test_time_alone_does_not_end_it(self, world: "World", clock: ManualClock, session: str) -> None:
        clock.advance(3_600)
        await world.engine.sweep()
        with pytest.raises(SessionEnding):
            await world.beat(session)


class TestStrangers:
    async def test_another_games_session_looks_like_an_unknown_one(self, world: "World") -> None:
        session = await world.open()
        with pytest.raises(SessionNotFound) as unknown:
            await world.beat(UNKNOWN)
        nobody = Caller(Role.GAME, "")
        for caller in (world.OTHER_GAME, nobody):
            for call in (
                world.beat(session, caller=caller),
                world.end(session, caller=caller),
                world.get(session, caller=caller),
            ):
                with pytest.raises(SessionNotFound) as refusal:
                    await call
                assert (str(refusal.value), refusal.value.metadata) == (str(unknown.value), unknown.value.metadata)
        assert (await world.beat(session)).result is Result.OK

    async def test_another_players_session_looks_like_an_unknown_one(self, world: "World") -> None:
        session = await world.open()
        with pytest.raises(SessionNotFound):
            await world.beat(session, user="somebody-else")
        with pytest.raises(SessionNotFound):
            await world.beat(session, user=world.PLAYER + " ")
        assert (await world.beat(session)).result is Result.OK

    @pytest.mark.parametrize("finish", [client_end, replacement])
    async def test_so_does_one_that_has_ended(self, world: "World", clock: ManualClock, finish: Finish) -> None:
        session = await finish(world, clock)
        with pytest.raises(SessionNotFound):
            await world.beat(session, caller=world.OTHER_GAME)
        with pytest.raises(SessionNotFound):
            await world.end(session, caller=world.OTHER_GAME)
        with pytest.raises(SessionNotFound):
            await world.beat(session, user="somebody-else")

    async def test_an_operator_may_act_for_any_game(self, world: "World") -> None:
        session = await world.open(game_id=world.OTHER_GAME_ID)
        assert (await world.beat(session, caller=world.OPERATOR)).result is Result.OK
        assert (await world.end(session, caller=world.OPERATOR)).end_reason is EndReason.CLIENT_END

    @pytest.mark.parametrize("remembered", [False, True], ids=["unknown", "remembered"])
    async def test_an_id_has_one_spelling(self, world: "World", *, remembered: bool) -> None:
        session = await world.open() if remembered else UNKNOWN
        spellings = [session[3:], session.upper(), "ls" + session[2:], "xx_" + session[3:], session + "\n", "", "gs_"]
        for spelling in spellings:
            for call in (world.beat(spelling), world.end(spelling), world.get(spelling)):
                with pytest.raises(BadRequest) as refusal:
                    await call
                assert list(refusal.value.violations) == ["game_session_id"], spelling


@pytest.mark.parametrize("collected", [False, True], ids=["kept", "collected"])
class TestTombstones:
    async def test_an_ended_session_is_remembered_for_a_day_and_then_forgotten(
        self, world: "World", clock: ManualClock, *, collected: bool
    ) -> None:
        session = await world.open()
        await world.end(session)
        clock.advance(ms=DAY_MS - 1)
        if collected:
            await world.engine.sweep()
        with pytest.raises(AlreadyEnded):
            await world.end(session)
        with pytest.raises(SessionEnded):
            await world.beat(session)
        clock.advance(ms=1)
        if collected:
            await world.engine.sweep()
        await self._is_forgotten(world, session)

    @pytest.mark.parametrize("finish", [launcher_silence, exhaustion, silence])
    async def test_one_that_time_ended_is_remembered_as_long_whether_anybody_noticed_or_not(
        self, world: "World", clock: ManualClock, finish: Finish, *, collected: bool
    ) -> None:
        session = await finish(world, clock)
        if collected:
            await world.engine.sweep()
        clock.advance(ms=DAY_MS)
        if collected:
            await world.engine.sweep()
        await self._is_forgotten(world, session)

    async def test_a_replaced_session_is_forgotten_too(self, world: "World", clock: ManualClock, *, collected: bool) -> None:
        session = await replacement(world, clock)
        clock.advance(ms=DAY_MS)
        if collected:
            await world.engine.sweep()
        await self._is_forgotten(world, session)

    async def _is_forgotten(self, world: "World", session: str) -> None:
        with pytest.raises(SessionNotFound):
            await world.get(session)
        with pytest.raises(SessionNotFound):
            await world.end(session)
        with pytest.raises(SessionNotFound):
            await world.beat(session)
