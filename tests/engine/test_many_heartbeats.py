"""Heartbeats by the thousand: each succeeds or fails by itself, as it would alone."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Beat, Result
from playclock.core.ids import partition_in
from playclock.engine.heartbeats import HeartbeatCall
from playclock.errors import BadRequest, SessionEnded, SessionNotFound, TooMuchContention

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

UNKNOWN = "gs_ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"


async def test_each_is_answered_in_its_place(world: "World", clock: ManualClock) -> None:
    free, paying, ended = await world.open("pc-1", at=world.FREE), await world.open("pc-1"), await world.open("pc-2")
    launch = await world.start("pc-3")
    replaced, _ = await world.join(launch), await world.join(launch)
    await world.end(ended)
    clock.advance(30)
    names = [free, UNKNOWN, paying, "junk", ended, replaced, free, ""]
    calls = [HeartbeatCall(name, world.PLAYER) for name in names] + [
        HeartbeatCall(free, "somebody-else"),
        HeartbeatCall(free, ""),
    ]
    answers = await world.engine.heartbeats.beat_many(world.GAME, calls)
    assert [type(answer) for answer in answers] == [
        *(Beat, SessionNotFound, Beat, BadRequest, SessionEnded, Beat, Beat, BadRequest),
        *(SessionNotFound, BadRequest),
    ]
    beats = [answer for answer in answers if isinstance(answer, Beat)]
    assert [beat.result for beat in beats] == [Result.OK, Result.OK, Result.SESSION_REPLACED, Result.OK]
    assert [beat.play_duration_sec for beat in beats] == [30, 30, 0, 30]


async def test_none_is_none(world: "World") -> None:
    assert await world.engine.heartbeats.beat_many(world.GAME, []) == []


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1"], ids=["free", "paying"])
async def test_a_thousand_of_one_session_are_all_taken(world: "World", clock: ManualClock, address: str) -> None:
    session = await world.open(at=address)
    clock.advance(30)
    answers = await world.engine.heartbeats.beat_many(world.GAME, [HeartbeatCall(session, world.PLAYER)] * 1_000)
    assert Counter(map(repr, answers)) == {repr(Beat(Result.OK, 120, 30)): 1_000}
    assert (await world.beat(session)).result is Result.OK
    ended = await world.end(session)
    assert ended.billed_ms == (30_000 if ended.charge else 0)


async def test_what_two_processes_send_at_once_is_all_taken(world: "World", elsewhere: "World", clock: ManualClock) -> None:
    sessions = [await world.open(f"pc-{number}", at=at) for number in range(20) for at in (world.FREE, world.PAYING)]
    calls = [HeartbeatCall(session, world.PLAYER) for session in sessions]
    for _ in range(5):
        clock.advance(20)
        both = await asyncio.gather(*(there.engine.heartbeats.beat_many(world.GAME, calls) for there in (world, elsewhere)))
        assert {answer.result for answers in both for answer in answers if isinstance(answer, Beat)} == {Result.OK}
        assert all(isinstance(answer, Beat) for answers in both for answer in answers)
    assert {(await world.stored(session)).last_heartbeat_ms for session in sessions} == {clock.now_ms()}


async def test_one_that_others_are_in_the_way_of_does_not_fail_the_rest(
    world: "World", make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
) -> None:
    contended = await make_world(faulty_store)
    free, paying = await contended.open(at=world.FREE), await contended.open(at=world.PAYING)
    for stuck, other in ((free, paying), (paying, free)):
        faulty_store.conflict_in = {partition_in(stuck)}
        calls = [HeartbeatCall(session, world.PLAYER) for session in (stuck, other)]
        answers = await contended.engine.heartbeats.beat_many(world.GAME, calls)
        assert isinstance(answers[0], TooMuchContention)
        assert isinstance(answers[1], Beat)
        with pytest.raises(TooMuchContention):
            await contended.beat(stuck)
