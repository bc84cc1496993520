"""A restart between two calls: socket, engine and store are closed and opened again, and everything goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from .callers import START, GameServer, LauncherPc
from .conftest import ServerMaker
from .envelope import data_of, error_of, refusal_of
from .estate import COIN, OPENING
from .server import Server, client_at, listening

Restarter = Callable[[], Awaitable[tuple[GameServer, LauncherPc]]]


@pytest_asyncio.fixture(loop_scope="session")
async def restart(server: Server, pc: LauncherPc) -> AsyncIterator[Restarter]:
    """Restart the server on a socket of its own, and return callers that know only its new address."""
    async with AsyncExitStack() as parts:

        async def restart() -> tuple[GameServer, LauncherPc]:
            await parts.aclose()
            await server.restart()
            url = await parts.enter_async_context(listening(server.front))
            client = await parts.enter_async_context(client_at(url))
            back = LauncherPc(client, server.clock, pc.pc_id)
            back.token = pc.token
            return GameServer(client), back

        yield restart


async def test_a_session_goes_on_with_its_play_time_and_its_bill(server: Server, pc: LauncherPc, restart: Restarter) -> None:
    session = await server.join(pc)
    server.clock.advance(100)
    data_of(await server.game().heartbeat(session))
    game, back = await restart()
    server.clock.advance(100)
    data_of(await back.heartbeat())
    assert data_of(await game.heartbeat(session)) == {"result": "OK", "next_heartbeat_in": 120, "play_duration_sec": 200}
    game, _ = await restart()
    server.clock.advance(100)
    assert data_of(await game.end(session, 299)) == {
        "result": "SUCCESS",
        "play_duration_sec": 300,
        "client_play_duration_sec": 299,
    }
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - 5 * COIN, 0)


async def test_a_token_stays_good_for_its_minute_and_a_used_one_stays_used(
    server: Server, pc: LauncherPc, restart: Restarter
) -> None:
    kept, used, late = await pc.ott(), await pc.ott(), await pc.ott()
    await server.game().join(used)
    game, _ = await restart()
    assert data_of(await game.verify(used)) == {"is_valid": False, "reason": "OTT_ALREADY_USED"}
    server.clock.advance(59.999)
    assert data_of(await game.verify(kept))["is_valid"] is True
    server.clock.advance(ms=1)
    assert data_of(await game.verify(late)) == {"is_valid": False, "reason": "OTT_EXPIRED"}


async def test_a_launch_goes_on_and_ends_its_session(server: Server, pc: LauncherPc, restart: Restarter) -> None:
    session = await server.join(pc)
    game, back = await restart()
    assert data_of(await back.heartbeat())["result"] == "OK"
    data_of(await back.order())
    data_of(await back.end())
    assert refusal_of(await game.heartbeat(session)) == (410, "SESSION_ENDED")


async def test_what_ended_before_is_still_answered_with_its_figures(server: Server, pc: LauncherPc, restart: Restarter) -> None:
    session = await server.join(pc)
    server.clock.advance(30)
    data_of(await server.game().end(session, 29))
    game, _ = await restart()
    refused = await game.end(session)
    assert refusal_of(refused) == (409, "ALREADY_ENDED")
    assert error_of(refused)["settlement"] == {
        "end_reason": "CLIENT_END",
        "play_duration_sec": 30,
        "client_play_duration_sec": 29,
        "billed_sec": 30,
        "grace_sec": 0,
        "amount_micros": COIN,
    }


async def test_a_session_whose_lease_ran_out_while_nobody_served_is_not_found(
    server: Server, pc: LauncherPc, restart: Restarter
) -> None:
    """Without a pulse, as under a clock that only the test moves, the service does not know that it was away."""
    session = await server.join(pc)
    server.clock.advance(240)
    game, _ = await restart()
    assert refusal_of(await game.heartbeat(session)) == (404, "SESSION_NOT_FOUND")
    assert (await server.account()).balance_micros == OPENING


async def test_an_idempotency_key_finds_its_first_answer_and_refuses_another_body(
    server: Server, pc: LauncherPc, restart: Restarter
) -> None:
    ott, other = await pc.ott(), await pc.ott()
    first = data_of(await server.game().verify(ott, Idempotency_Key="join-1"))
    game, _ = await restart()
    assert data_of(await game.verify(ott, Idempotency_Key="join-1")) == first
    assert refusal_of(await game.verify(other, Idempotency_Key="join-1")) == (422, "REQUEST_ID_REUSED")
    assert data_of(await game.heartbeat(first["game_session_id"]))["result"] == "OK"


async def test_a_used_nonce_stays_used(pc: LauncherPc, restart: Restarter) -> None:
    body = b'{"pc_id":"PC-1","internal_ip":"10.0.0.1"}'
    headers = pc.signed("POST", START, body)
    data_of(await pc.client.post(START, content=body, headers=headers))
    _, back = await restart()
    replayed = await back.client.post(START, content=body, headers=headers)
    assert refusal_of(replayed) == (401, "REQUEST_REPLAYED")


@pytest.mark.parametrize("away_sec", [300, 3600])
async def test_an_outage_of_our_own_neither_ends_nor_bills_what_was_played_when_it_began(
    make_server: ServerMaker, away_sec: int
) -> None:
    server = await make_server(background=True)
    pc = server.pc()
    session = await server.join(pc)
    server.clock.advance(away_sec)
    await server.restart()
    assert data_of(await pc.heartbeat())["result"] == "OK"
    assert data_of(await server.game().heartbeat(session))["result"] == "OK"
    server.clock.advance(3)
    data_of(await server.game().end(session))
    figures = await server.session(session)
    assert (figures.play_duration_sec, figures.billed_sec) == (away_sec + 3, 3)
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - COIN, 0)
