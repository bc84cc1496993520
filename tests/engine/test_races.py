"""Calls that meet: however they overtake each other, there is one winner, one settlement, one story."""

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Beat, Opened, Refused, Result
from playclock.core.charge import Account
from playclock.core.ott import Refusal
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason, Session, State
from playclock.core.timers import Timers
from playclock.errors import AlreadyEnded, SessionEnded, SessionNotFound
from playclock.stores.base import Store

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

ALREADY_USED = Refused(Refusal.ALREADY_USED)


@pytest.fixture
async def crowded(world: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore") -> "World":
    """Return the world behind a store where calls overtake each other."""
    assert world.engine.store is busy_store.store
    return await make_world(busy_store)


async def endings(store: Store) -> list[str]:
    """Return the ids of the sessions that have ended, once for each time."""
    told = [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 1_000_000)]
    events = [event for event in told if isinstance(event, SessionEvent)]
    return [event.session.id for event in events if event.happening is Happening.ENDED]


class TestOneOtt:
    async def test_a_thousand_verifies_have_one_winner(self, world: "World") -> None:
        ott = await world.ott()
        answers = await asyncio.gather(*(world.redeem(ott) for _ in range(1_000)))
        await self._one_of(1_000, answers, world)

    async def test_so_they_have_when_they_overtake_each_other_in_two_processes(
        self, world: "World", crowded: "World", elsewhere: "World"
    ) -> None:
        ott = await world.ott()
        answers = await asyncio.gather(*((crowded, elsewhere)[number % 2].redeem(ott) for number in range(1_000)))
        await self._one_of(1_000, answers, world)

    async def test_and_in_two_hundred_rounds(self, world: "World", crowded: "World", elsewhere: "World") -> None:
        launches = [await world.start(f"pc-{number}", at=world.FREE) for number in range(200)]
        otts = [await world.ott(launch) for launch in launches]
        calls = [(crowded, elsewhere)[number % 2].redeem(ott) for ott in otts for number in range(6)]
        random.Random(7).shuffle(calls)
        answers = await asyncio.gather(*calls)
        assert sum(isinstance(answer, Opened) for answer in answers) == 200
        assert answers.count(ALREADY_USED) == 1_000

    async def _one_of(self, count: int, answers: list[Opened | Refused], world: "World") -> None:
        winners = [answer for answer in answers if isinstance(answer, Opened)]
        assert len(winners) == 1
        assert answers.count(ALREADY_USED) == count - 1
        listed, _ = await world.engine.listing.page(world.OPERATOR, page_size=1_000, page_token="", game_id=None, cafe_id=None)
        assert [session.id for session in listed] == [winners[0].session_id]
        assert await world.account() == Account(world.ACCOUNT, "GCOIN", world.OPENING_MICROS, 4_000_000)

    async def test_otts_of_one_pc_open_sessions_that_replace_each_other(
        self, world: "World", crowded: "World", elsewhere: "World"
    ) -> None:
        launch = await world.start()
        otts = [await world.ott(launch) for _ in range(20)]
        answers = await asyncio.gather(*((crowded, elsewhere)[n % 2].redeem(ott) for n, ott in enumerate(otts)))
        opened = [answer.session_id for answer in answers if isinstance(answer, Opened)]
        assert len(set(opened)) == 20
        alive = [session for session in opened if (await world.get(session)).state is State.ACTIVE]
        assert len(alive) == 1
        assert sorted(await endings(world.engine.store)) == sorted(set(opened) - set(alive))
        assert (await world.account()).held_micros == 4_000_000


class TestEnds:
    async def test_a_hundred_ends_have_one_winner_and_all_hear_the_same_figures(
        self, world: "World", crowded: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        session = await world.open()
        clock.advance(61)
        calls = [(crowded, elsewhere)[number % 2].end(session, counted_sec=60) for number in range(100)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        [won] = [answer for answer in answers if isinstance(answer, Session)]
        refusals = [answer.metadata for answer in answers if isinstance(answer, AlreadyEnded)]
        assert (
            refusals
            == [
                {
                    "end_reason": "CLIENT_END",
                    "play_duration_sec": "61",
                    "client_play_duration_sec": "60",
                    "billed_sec": "61",
                    "grace_sec": "0",
                    "amount_micros": "2000000",
                }
            ]
            * 99
        )
        assert (won.billed_ms, won.charge and won.charge.billed_micros) == (61_000, 2_000_000)
        assert await endings(world.engine.store) == [session]
        assert await world.account() == Account(world.ACCOUNT, "GCOIN", world.OPENING_MICROS - 2_000_000, 0)

    async def test_all_orders_of_two_heartbeats_and_two_ends_settle_the_same(
        self, world: "World", crowded: "World", clock: ManualClock
    ) -> None:
        settled = []
        for number, order in enumerate(sorted(set(itertools.permutations(("beat", "beat", "end", "end"))))):
            for at_once in (False, True):
                there = crowded if at_once else world
                session = await world.open(f"pc-{number}-{at_once}")
                clock.advance(100)
                calls = [there.beat(session) if name == "beat" else there.end(session) for name in order]
                if at_once:
                    answers: list[object] = list(await asyncio.gather(*calls, return_exceptions=True))
                else:
                    answers = [await _outcome(call) for call in calls]
                ends = [answer for name, answer in zip(order, answers, strict=True) if name == "end"]
                assert sorted(type(answer).__name__ for answer in ends) == ["AlreadyEnded", "Session"]
                beats = [answer for name, answer in zip(order, answers, strict=True) if name == "beat"]
                assert all(isinstance(answer, Beat | SessionEnded) for answer in beats)
                ended = await world.stored(session)
                settled.append((ended.end_reason, ended.billed_ms, ended.charge and ended.charge.billed_micros))
                assert (await endings(world.engine.store)).count(session) == 1
        assert settled == [(EndReason.CLIENT_END, 100_000, 2_000_000)] * 12
        assert await world.account() == Account(world.ACCOUNT, "GCOIN", world.OPENING_MICROS - 24_000_000, 0)


async def _outcome(call: object) -> object:
    (outcome,) = await asyncio.gather(call, return_exceptions=True)  # type: ignore[call-overload]
    return outcome


class TestHeartbeatAgainstSweeper:
    """Heartbeats set out a millisecond before the lease is over, and the sweeper a millisecond after."""

    @pytest.fixture
    def rounds(self, store_kind: str) -> int:
        return 100 if store_kind == "memory" else 4

    async def test_who_was_told_ok_is_not_ended_at_that_lease_and_who_was_not_is(
        self, world: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore", clock: ManualClock, rounds: int
    ) -> None:
        timers = Timers(launcher_ttl_ms=1_000_000_000)
        chance = random.Random(17)
        busy_store.turns = lambda: chance.randrange(12)
        crowded, sweeping = await make_world(busy_store, timers=timers), await make_world(busy_store.store, timers=timers)
        launches = [await crowded.start(f"pc-{number}", at=world.FREE) for number in range(100)]
        sessions = [await crowded.join(launch) for launch in launches]
        ok = refused = 0
        for number_of_round in range(rounds):
            lease_ms = clock.now_ms() + 240_000
            clock.advance(ms=239_999)
            beats = [asyncio.create_task(_outcome(crowded.beat(session))) for session in sessions]
            # In the first round the clock is faster than all of them, in the others they are on their way.
            for _ in range((0, 4, 2, 5, 1, 3)[number_of_round % 6]):
                await asyncio.sleep(0)
            clock.advance(ms=2)
            await asyncio.gather(sweeping.engine.sweep(), crowded.engine.sweep())
            answers = await asyncio.gather(*beats)
            for number, (session, answer) in enumerate(zip(sessions, answers, strict=True)):
                record = await world.stored(session)
                if isinstance(answer, Beat):
                    assert answer.result is Result.OK
                    assert (record.state, record.last_heartbeat_ms) == (State.ACTIVE, lease_ms - 1)
                    await crowded.beat(session)  # all leases of the next round begin in one moment
                    ok += 1
                else:
                    assert isinstance(answer, SessionNotFound), answer
                    assert (record.state, record.ended_ms) == (State.ENDED, lease_ms)
                    sessions[number] = await crowded.join(launches[number])
                    refused += 1
        assert ok + refused == rounds * 100
        assert ok > rounds
        assert refused > rounds
        assert len(await endings(world.engine.store)) == refused

    @pytest.mark.parametrize("offset_ms", [-1, 0, 1])
    async def test_at_one_moment_time_alone_decides(
        self, world: "World", crowded: "World", elsewhere: "World", clock: ManualClock, offset_ms: int
    ) -> None:
        for number in range(10):
            session = await world.open(f"pc-{number}", at=world.FREE)
            clock.advance(ms=240_000 + offset_ms)
            calls = [_outcome(crowded.beat(session)), _outcome(crowded.engine.sweep()), _outcome(elsewhere.engine.sweep())]
            answer = (await asyncio.gather(*calls))[0]
            assert isinstance(answer, Beat if offset_ms < 0 else SessionEnded | SessionNotFound), answer
            assert (await world.stored(session)).state is (State.ACTIVE if offset_ms < 0 else State.ENDED)
