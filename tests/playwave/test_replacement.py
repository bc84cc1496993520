"""One session on a PC: what the replaced one hears, and what a launcher's restart does not replace."""

import msgspec
import pytest
from playclock.core.codec import Codec, encode
from playclock.core.ids import session_key
from playclock.core.session import NEVER_MS, EndReason, Session, State
from playclock.stores.base import Commit, Put

from .callers import GameServer, LauncherPc
from .envelope import data_of, error_of, refusal_of
from .estate import COIN, FREE, OPENING, RIVAL, RIVAL_KEY, SEOUL
from .server import Server


async def test_a_second_session_on_the_pc_replaces_the_first_which_hears_it_with_200(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    first = await server.join(pc)
    server.clock.advance(60)
    await server.join(pc, user="262")
    server.clock.advance(30)
    assert data_of(await game.heartbeat(first)) == {
        "result": "SESSION_REPLACED",
        "next_heartbeat_in": 0,
        "play_duration_sec": 60,
    }


async def test_a_replaced_session_says_so_again_and_again_and_is_409_for_an_end(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    first = await server.join(pc)
    await server.join(pc)
    server.clock.advance(1000)
    assert [data_of(await game.heartbeat(first))["result"] for _ in range(3)] == ["SESSION_REPLACED"] * 3
    refused = await game.end(first, 7)
    assert refusal_of(refused) == (409, "ALREADY_ENDED")
    assert error_of(refused)["settlement"]["end_reason"] == "REPLACED"


async def test_the_replaced_session_is_billed_to_the_moment_and_the_new_one_from_it(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    first = await server.join(pc)
    server.clock.advance(60)
    second = await server.join(pc)
    server.clock.advance(60)
    data_of(await game.end(second))
    assert [(await server.session(each)).billed_sec for each in (first, second)] == [60, 60]
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - 2 * COIN, 0)


async def test_a_session_of_another_game_replaces_it_too(server: Server, game: GameServer, pc: LauncherPc) -> None:
    first = await server.join(pc)
    await server.game(RIVAL_KEY).join(await pc.ott(RIVAL))
    assert data_of(await game.heartbeat(first))["result"] == "SESSION_REPLACED"


@pytest.mark.parametrize("address", [SEOUL, FREE])
async def test_a_session_on_another_pc_replaces_nothing(server: Server, game: GameServer, address: str) -> None:
    first = await server.join(server.pc(SEOUL, pc_id="PC-A"))
    await server.join(server.pc(address, pc_id="PC-B" if address == SEOUL else "PC-A"))
    assert data_of(await game.heartbeat(first))["result"] == "OK"


async def test_a_launcher_that_crashed_and_came_back_does_not_cost_the_player_the_game(
    server: Server, game: GameServer
) -> None:
    crashed, back = server.pc(pc_id="PC-A"), server.pc(pc_id="PC-A")
    session = await server.join(crashed)
    data_of(await back.start())
    assert data_of(await crashed.heartbeat()) == {"result": "SESSION_REPLACED", "next_heartbeat_in": 0}
    for _ in range(3):
        server.clock.advance(200)
        data_of(await back.heartbeat())
        assert data_of(await game.heartbeat(session))["result"] == "OK"
    data_of(await back.end())
    assert refusal_of(await game.heartbeat(session)) == (410, "SESSION_ENDED")


async def set_ending(server: Server, session_id: str) -> None:
    """Put the session into ENDING, as a replica does that waits for an outside charge authority to confirm."""
    key = session_key(session_id)
    (record,) = await server.store.get([key])
    assert record is not None
    ending = msgspec.structs.replace(
        Codec(Session).decode(record.data),
        state=State.ENDING,
        end_reason=EndReason.CLIENT_END,
        ended_ms=server.clock.now_ms(),
        deadline_ms=NEVER_MS,
    )
    put = Put(key=key, expect=record.version, data=encode(ending))
    assert await server.store.commit([Commit(partition=int(key[:2], 16), puts=[put])]) == [None]


@pytest.mark.parametrize("address", [SEOUL, FREE])
async def test_a_heartbeat_while_the_session_is_ending_is_410(server: Server, game: GameServer, address: str) -> None:
    session = await server.join(server.pc(address))
    await set_ending(server, session)
    for _ in range(2):
        assert refusal_of(await game.heartbeat(session)) == (410, "SESSION_ENDING")
    server.clock.advance(600)
    assert refusal_of(await game.heartbeat(session)) == (410, "SESSION_ENDING")


async def test_an_end_while_the_session_is_ending_is_409(server: Server, game: GameServer) -> None:
    session = await server.join()
    server.clock.advance(60)
    await set_ending(server, session)
    server.clock.advance(60)
    refused = await game.end(session)
    assert refusal_of(refused) == (409, "ALREADY_ENDED")
    assert error_of(refused)["settlement"]["play_duration_sec"] == 60
