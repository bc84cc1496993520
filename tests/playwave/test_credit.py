"""Credit that runs out: the notice, the two minutes of grace, the end, and what a top-up changes."""

import pytest
from playclock.core.charge import Account
from playclock.core.codec import encode
from playclock.core.ids import account_key
from playclock.stores.base import Commit, Put

from .callers import GameServer, LauncherPc
from .envelope import data_of, error_of, refusal_of
from .estate import COIN, FREE
from .server import Server

ENDED = (410, "SESSION_ENDED")


async def prepaid_player(server: Server, coins: int) -> tuple[str, LauncherPc, str]:
    """Let a player join in a cafe with so many coins; return the cafe's account, the PC and the session."""
    account_id, address = await server.prepaid(coins)
    pc = server.pc(address)
    return account_id, pc, await server.join(pc)


async def top_up(server: Server, account_id: str, coins: int) -> None:
    """Book a top-up as another replica would: this one's memory of the account is old afterwards."""
    key = account_key(account_id)
    (record,) = await server.store.get([key])
    assert record is not None
    account = await server.account(account_id)
    put = Put(
        key=key,
        expect=record.version,
        data=encode(Account(account_id, "GCOIN", account.balance_micros + coins * COIN, account.held_micros)),
    )
    assert await server.store.commit([Commit(partition=int(key[:2], 16), puts=[put])]) == [None]


@pytest.mark.parametrize(("coins", "waits"), [(2, [120]), (3, [120, 60]), (5, [120, 120, 60])])
async def test_the_next_heartbeat_is_asked_for_at_the_end_of_the_credit(
    server: Server, game: GameServer, coins: int, waits: list[int]
) -> None:
    _, pc, session = await prepaid_player(server, coins)
    told = []
    left = coins * 60
    while left > 0:
        data = data_of(await game.heartbeat(session))
        assert data["result"] == "OK"
        told.append(data["next_heartbeat_in"])
        server.clock.advance(told[-1])
        data_of(await pc.heartbeat())
        left -= told[-1]
    assert told == waits
    assert data_of(await game.heartbeat(session))["result"] == "CHARGE_EXHAUSTED"


async def test_used_up_credit_is_told_with_the_grace_that_is_left(server: Server, game: GameServer) -> None:
    _, pc, session = await prepaid_player(server, 3)
    server.clock.advance(179.999)
    data_of(await pc.heartbeat())
    assert data_of(await game.heartbeat(session)) == {"result": "OK", "next_heartbeat_in": 1, "play_duration_sec": 179}
    server.clock.advance(ms=1)
    data = data_of(await game.heartbeat(session))
    assert (data["result"], data["play_duration_sec"], data["grace_remaining_sec"]) == ("CHARGE_EXHAUSTED", 180, 120)
    assert list(data) == ["result", "next_heartbeat_in", "play_duration_sec", "grace_remaining_sec"]
    server.clock.advance(119.001)
    data = data_of(await game.heartbeat(session))
    assert (data["result"], data["grace_remaining_sec"]) == ("CHARGE_EXHAUSTED", 1)


@pytest.mark.parametrize("beats_in_grace", [0, 1, 3])
async def test_the_session_ends_two_minutes_after_the_credit_however_many_heartbeats_come(
    server: Server, game: GameServer, beats_in_grace: int
) -> None:
    account_id, pc, session = await prepaid_player(server, 3)
    server.clock.advance(100)
    data_of(await pc.heartbeat())
    data_of(await game.heartbeat(session))
    server.clock.advance(80)
    for _ in range(beats_in_grace):
        server.clock.advance(30)
        assert data_of(await game.heartbeat(session))["result"] == "CHARGE_EXHAUSTED"
    server.clock.advance(119.999 - 30 * beats_in_grace)
    assert data_of(await game.heartbeat(session))["result"] == "CHARGE_EXHAUSTED"
    server.clock.advance(ms=1)
    assert refusal_of(await game.heartbeat(session)) == ENDED
    figures = await server.session(session)
    assert (figures.billed_sec, figures.grace_sec, figures.amount_micros) == (180, 120, 3 * COIN)
    account = await server.account(account_id)
    assert (account.balance_micros, account.held_micros) == (0, 0)


async def test_an_end_after_the_automatic_one_is_409_with_its_figures(server: Server, game: GameServer) -> None:
    _, pc, session = await prepaid_player(server, 2)
    server.clock.advance(120)
    data_of(await pc.heartbeat())
    data_of(await game.heartbeat(session))
    server.clock.advance(120)
    refused = await game.end(session, 230)
    assert refusal_of(refused) == (409, "ALREADY_ENDED")
    assert error_of(refused)["settlement"] == {
        "end_reason": "CHARGE_EXHAUSTED",
        "play_duration_sec": 240,
        "client_play_duration_sec": None,
        "billed_sec": 120,
        "grace_sec": 120,
        "amount_micros": 2 * COIN,
    }


async def test_grace_is_not_billed_when_the_player_leaves_within_it(server: Server, game: GameServer) -> None:
    account_id, _, session = await prepaid_player(server, 2)
    server.clock.advance(150)
    assert data_of(await game.end(session)) == {
        "result": "SUCCESS",
        "play_duration_sec": 150,
        "client_play_duration_sec": None,
    }
    figures = await server.session(session)
    assert (figures.billed_sec, figures.grace_sec) == (120, 30)
    assert (await server.account(account_id)).balance_micros == 0


async def test_a_top_up_in_grace_makes_the_session_active_again(server: Server, game: GameServer) -> None:
    account_id, pc, session = await prepaid_player(server, 2)
    server.clock.advance(150)
    data_of(await pc.heartbeat())
    assert data_of(await game.heartbeat(session))["result"] == "CHARGE_EXHAUSTED"
    await top_up(server, account_id, 10)
    assert data_of(await game.heartbeat(session)) == {"result": "OK", "next_heartbeat_in": 120, "play_duration_sec": 150}
    server.clock.advance(60)
    data_of(await game.end(session))
    figures = await server.session(session)
    assert (figures.billed_sec, figures.grace_sec, figures.amount_micros) == (180, 30, 3 * COIN)


async def test_grace_is_a_budget_of_the_session_that_top_ups_do_not_refill(server: Server, game: GameServer) -> None:
    account_id, pc, session = await prepaid_player(server, 2)
    server.clock.advance(120 + 100)
    data_of(await pc.heartbeat())
    await top_up(server, account_id, 2)
    assert data_of(await game.heartbeat(session))["result"] == "OK"
    server.clock.advance(120)
    data_of(await pc.heartbeat())
    data = data_of(await game.heartbeat(session))
    assert (data["result"], data["grace_remaining_sec"]) == ("CHARGE_EXHAUSTED", 20)
    server.clock.advance(20)
    assert refusal_of(await game.heartbeat(session)) == ENDED


async def test_credit_that_ends_while_nobody_calls_is_found_in_the_next_heartbeat(server: Server, game: GameServer) -> None:
    _, pc, session = await prepaid_player(server, 2)
    server.clock.advance(239)
    data_of(await pc.heartbeat())
    data = data_of(await game.heartbeat(session))
    assert (data["result"], data["grace_remaining_sec"]) == ("CHARGE_EXHAUSTED", 1)


async def test_players_who_share_an_account_never_spend_more_than_there_is(server: Server, game: GameServer) -> None:
    account_id, address = await server.prepaid(12)
    answers = [data_of(await game.verify(await server.pc(address).ott())) for _ in range(10)]
    assert [data.get("reason") for data in answers] == [None] * 3 + ["NOT_CHARGEABLE"] * 7
    account = await server.account(account_id)
    assert account.held_micros == account.balance_micros == 12 * COIN


async def test_in_a_cafe_that_nobody_bills_credit_never_ends(server: Server, game: GameServer) -> None:
    pc = server.pc(FREE)
    session = await server.join(pc)
    for _ in range(100):
        server.clock.advance(230)
        data_of(await pc.heartbeat())
        data = data_of(await game.heartbeat(session))
        assert (data["result"], data["next_heartbeat_in"]) == ("OK", 120)
    assert data_of(await game.end(session))["play_duration_sec"] == 23_000
    assert (await server.session(session)).amount_micros == 0
