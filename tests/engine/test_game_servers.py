"""A game server that has restarted ends the sessions that it has lost, and nobody else's."""

from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Result
from playclock.core.charge import Account
from playclock.core.session import EndReason
from playclock.errors import AlreadyEnded, SessionEnded

if TYPE_CHECKING:
    from tests.conftest import World


async def test_all_its_sessions_end_wherever_they_lie(world: "World") -> None:
    lost = [await world.open(f"pc-{number}", server="server-1") for number in range(3)]
    lost += [await world.open(f"pc-{number}", at=world.FREE, server="server-1") for number in range(3)]
    ended = await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")
    assert sorted(ended) == sorted(lost)
    for session in lost:
        assert (await world.stored(session)).end_reason is EndReason.SERVER_RESTART
        with pytest.raises(SessionEnded):
            await world.beat(session)


async def test_a_second_call_finds_nothing_to_end(world: "World") -> None:
    await world.open(server="server-1")
    assert len(await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")) == 1
    assert await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1") == []


async def test_sessions_of_others_play_on(world: "World") -> None:
    others = [
        await world.open("pc-1", server="server-2"),
        await world.open("pc-2"),
        await world.open("pc-3", server="server-1", game_id=world.OTHER_GAME_ID),
    ]
    assert await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1") == []
    for session in others:
        assert (await world.beat(session, caller=world.OPERATOR)).result is Result.OK


async def test_sessions_that_ended_before_are_not_ended_again(world: "World", clock: ManualClock) -> None:
    ended, silent = await world.open("pc-1", server="server-1"), await world.open("pc-2", server="server-1")
    await world.end(ended)
    clock.advance(240)
    alive = await world.open("pc-3", server="server-1")
    assert await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1") == [alive]
    with pytest.raises(AlreadyEnded) as refusal:
        await world.end(ended)
    assert refusal.value.metadata["end_reason"] == "CLIENT_END"
    assert (await world.stored(silent)).end_reason is EndReason.HEARTBEAT_TIMEOUT


async def test_sessions_opened_in_another_process_are_found(world: "World", elsewhere: "World") -> None:
    first = await world.open("pc-1", server="server-1")
    second = await elsewhere.open("pc-2", server="server-1")
    assert sorted(await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")) == sorted([first, second])


async def test_what_was_not_proven_is_not_billed(world: "World", clock: ManualClock) -> None:
    session = await world.open(server="server-1")
    clock.advance(61)
    await world.beat(session)
    clock.advance(100)
    await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")
    settled = await world.stored(session)
    assert (settled.billed_ms, settled.charge and settled.charge.billed_micros) == (61_000, 2_000_000)
    assert await world.account() == Account(world.ACCOUNT, "GCOIN", world.OPENING_MICROS - 2_000_000, 0)
