"""Times in which the service itself was away: nobody is ended or billed for them."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Result
from playclock.core.session import EndReason, State
from playclock.core.timers import Timers
from playclock.errors import SessionNotFound
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import HeartbeatRequest, HeartbeatResponse, SessionServiceStub

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, Restart, StoreOpener, World, WorldMaker

OUTAGE_SEC = 600


@pytest.fixture
async def world(open_again: "StoreOpener", make_world: "WorldMaker") -> "World":
    """Return a world whose engine says that it lives: in the background, or when a test lets time go by."""
    world = await make_world(await open_again(), background=True)
    await world.provision()
    return world


async def live(*worlds: "World", clock: ManualClock, seconds: int) -> None:
    """Let time go by in which these processes live."""
    for _ in range(seconds):
        clock.advance(1)
        for world in worlds:
            await world.engine._pulse.beat()


async def restart_after(restart: "Restart", clock: ManualClock, seconds: int) -> "World":
    """Stop the service, and start it again after so long."""
    clock.advance(seconds)
    return await restart(background=True)


class TestRestart:
    async def test_500_sessions_live_through_ten_minutes_without_us(
        self, world: "World", restart: "Restart", clock: ManualClock
    ) -> None:
        sessions = [await world.open(f"pc-{number}", at=world.FREE) for number in range(400)]
        sessions += [await world.open(f"pc-{number}", at=world.PAYING) for number in range(100)]
        await live(world, clock=clock, seconds=30)

        again = await restart_after(restart, clock, OUTAGE_SEC)
        back_ms = clock.now_ms()
        await again.engine.sweep()
        found = [await again.get(session) for session in sessions]
        assert {session.state for session in found} == {State.ACTIVE}
        assert {session.billed_ms for session in found} == {0}

        # A whole lease from now on, and then a minute over which they run out if nobody comes.
        until = [session.lease_until_ms - back_ms for session in found]
        assert min(until) >= 240_000
        assert max(until) < 300_000
        assert max(Counter(ms // 1_000 for ms in until).values()) <= 25

        await live(again, clock=clock, seconds=239)
        await again.engine.sweep()
        assert {(await again.get(session)).state for session in sessions} == {State.ACTIVE}
        await live(again, clock=clock, seconds=61)
        await again.engine.sweep()
        assert {(await again.stored(session)).end_reason for session in sessions} == {EndReason.HEARTBEAT_TIMEOUT}
        account = await again.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS, 0)

    async def test_what_was_played_around_the_outage_is_billed_and_the_outage_is_not(
        self, world: "World", restart: "Restart", clock: ManualClock
    ) -> None:
        launch = await world.start()
        session = await world.join(launch)
        await live(world, clock=clock, seconds=50)
        await world.beat(session)
        await live(world, clock=clock, seconds=20)
        again = await restart_after(restart, clock, OUTAGE_SEC)
        await live(again, clock=clock, seconds=30)
        assert (await again.beat(session)).result is Result.OK
        await live(again, clock=clock, seconds=10)
        ended = await again.end(session)
        # 50 + 20 before, 30 + 10 after.
        assert (ended.billed_ms, ended.unbilled_ms) == (110_000, OUTAGE_SEC * 1_000)
        assert ended.charge is not None
        assert ended.charge.billed_micros == 2_000_000

    async def test_a_launcher_goes_on_after_the_outage(self, world: "World", restart: "Restart", clock: ManualClock) -> None:
        launch = await world.start()
        session = await world.join(launch)
        await live(world, clock=clock, seconds=100)
        again = await restart_after(restart, clock, OUTAGE_SEC)
        await live(again, clock=clock, seconds=200)
        assert await again.engine.launches.heartbeat(world.OPERATOR, launch) is Result.OK
        assert (await again.beat(session)).result is Result.OK
        await again.ott(launch)

    async def test_credit_and_grace_stand_still_meanwhile(self, world: "World", restart: "Restart", clock: ManualClock) -> None:
        await world.provision_poor(4_000_000)
        launch = await world.start(at=world.POOR)
        session = await world.join(launch)
        for _ in range(2):
            await live(world, clock=clock, seconds=110)
            await world.engine.launches.heartbeat(world.OPERATOR, launch)
            await world.beat(session)
        again = await restart_after(restart, clock, OUTAGE_SEC)
        await live(again, clock=clock, seconds=19)
        assert (await again.beat(session)).result is Result.OK
        await live(again, clock=clock, seconds=1)
        exhausted = await again.beat(session)
        assert (exhausted.result, exhausted.grace_remaining_sec) == (Result.CHARGE_EXHAUSTED, 120)
        await live(again, clock=clock, seconds=20)
        later = await restart_after(restart, clock, OUTAGE_SEC)
        told = await later.beat(session)
        assert (told.result, told.grace_remaining_sec) == (Result.CHARGE_EXHAUSTED, 100)

    async def test_a_heartbeat_with_which_the_credit_ends_says_so(
        self, world: "World", restart: "Restart", clock: ManualClock
    ) -> None:
        await world.provision_poor(4_000_000)
        session = await world.open(at=world.POOR)
        await live(world, clock=clock, seconds=100)
        again = await restart_after(restart, clock, OUTAGE_SEC)
        await live(again, clock=clock, seconds=200)
        # 300 s were played on what was held for a lease of 240 s. Nothing is left, and nothing is owed.
        told = await again.beat(session)
        assert (told.result, told.grace_remaining_sec) == (Result.CHARGE_EXHAUSTED, 120)
        exhausted = await again.stored(session)
        assert (exhausted.state, exhausted.exhausted_ms) == (State.EXHAUSTED, clock.now_ms())
        assert (exhausted.billed_ms, exhausted.unbilled_ms) == (240_000, OUTAGE_SEC * 1_000 + 60_000)

    async def test_what_had_run_out_before_the_outage_stays_over(
        self, world: "World", restart: "Restart", clock: ManualClock
    ) -> None:
        session = await world.open()
        await live(world, clock=clock, seconds=240)
        again = await restart_after(restart, clock, OUTAGE_SEC)
        with pytest.raises(SessionNotFound):
            await again.beat(session)
        ended = await again.get(session)
        assert ended.ended_ms == ended.started_ms + 240_000

    async def test_a_quick_restart_is_no_outage(self, world: "World", restart: "Restart", clock: ManualClock) -> None:
        session = await world.open(at=world.FREE)
        await live(world, clock=clock, seconds=100)
        again = await restart_after(restart, clock, 3)
        assert again.engine.context.outages == ()
        await live(again, clock=clock, seconds=137)
        with pytest.raises(SessionNotFound):
            await again.beat(session)

    async def test_several_outages_are_each_made_good(self, world: "World", restart: "Restart", clock: ManualClock) -> None:
        session = await world.open()
        for _ in range(3):
            await live(world, clock=clock, seconds=60)
            await world.beat(session)
            await live(world, clock=clock, seconds=40)
            world = await restart_after(restart, clock, OUTAGE_SEC)
        assert len(world.engine.context.outages) == 3
        ended = await world.end(session)
        assert (ended.billed_ms, ended.unbilled_ms) == (300_000, 3 * OUTAGE_SEC * 1_000)


class TestStall:
    """The process is stopped and goes on, as after SIGSTOP or a laptop's sleep."""

    async def test_the_first_call_finds_out_before_it_is_answered(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        await live(world, clock=clock, seconds=10)
        clock.advance(OUTAGE_SEC)
        sessions = SessionServiceStub(InProcessChannel(world.engine, operator=True))
        told = await sessions.Heartbeat(HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER))
        assert told.result == HeartbeatResponse.RESULT_OK
        ended = await world.end(session)
        assert (ended.billed_ms, ended.unbilled_ms) == (10_000, OUTAGE_SEC * 1_000)

    async def test_so_does_the_first_sweep(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(OUTAGE_SEC)
        await world.engine.sweep()
        assert (await world.stored(session)).state is State.ACTIVE
        assert (await world.beat(session)).result is Result.OK

    async def test_while_another_process_lives_there_is_no_outage(
        self, world: "World", make_world: "WorldMaker", open_again: "StoreOpener", clock: ManualClock
    ) -> None:
        other = await make_world(await open_again(), background=True)
        session = await world.open(at=world.FREE)
        await live(other, clock=clock, seconds=239)
        assert world.engine.is_late()
        await world.engine.catch_up()
        assert world.engine.context.outages == ()
        assert (await world.beat(session)).result is Result.OK
        await live(other, clock=clock, seconds=240)
        await world.engine.catch_up()
        with pytest.raises(SessionNotFound):
            await world.beat(session)

    async def test_two_processes_that_were_both_away_note_one_outage(
        self, world: "World", make_world: "WorldMaker", open_again: "StoreOpener", clock: ManualClock
    ) -> None:
        other = await make_world(await open_again(), background=True)
        session = await world.open()
        clock.advance(OUTAGE_SEC)
        await asyncio.gather(*(each.engine.catch_up() for each in (world, other)))
        assert len(world.engine.context.outages) == 1
        assert world.engine.context.outages == other.engine.context.outages
        assert (await other.beat(session)).result is Result.OK
        assert (await other.get(session)).unbilled_ms == OUTAGE_SEC * 1_000

    async def test_who_notes_it_too_late_takes_what_the_other_has_noted(
        self, world: "World", make_world: "WorldMaker", faulty_store: "FaultInjectingStore", clock: ManualClock
    ) -> None:
        late = await make_world(faulty_store, background=True)
        gate = faulty_store.stalls_before = asyncio.Event()
        clock.advance(OUTAGE_SEC)
        noting = asyncio.create_task(late.engine.catch_up())
        await faulty_store.stalled.wait()
        clock.advance(1)
        await world.engine.catch_up()
        gate.set()
        await noting
        assert world.engine.context.outages == late.engine.context.outages
        assert [outage.end_ms for outage in late.engine.context.outages] == [clock.now_ms()]

    async def test_a_silence_of_three_seconds_is_none(self, world: "World", clock: ManualClock) -> None:
        await world.open()
        clock.advance(3)
        await world.engine._pulse.beat()
        assert len(world.engine.context.outages) == 0
        clock.advance(ms=3_001)
        await world.engine._pulse.beat()
        assert len(world.engine.context.outages) == 1

    async def test_an_outage_is_forgotten_when_all_that_it_concerned_is(
        self, make_world: "WorldMaker", open_again: "StoreOpener", clock: ManualClock
    ) -> None:
        timers = Timers(tombstone_retention_ms=60_000)
        world = await make_world(await open_again(), background=True, timers=timers)
        clock.advance(OUTAGE_SEC)
        await world.engine.catch_up()
        await live(world, clock=clock, seconds=59)
        assert len(world.engine.context.outages) == 1
        await live(world, clock=clock, seconds=1)
        assert len(world.engine.context.outages) == 0
